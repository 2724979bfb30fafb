"""Values that no client in good faith sends, as they stand in JSON, in query strings and in paths."""

from __future__ import annotations

import json
from typing import Any

from jsonschema_rs import Draft202012Validator

from tests.contract.documents import Document

DEEP = "[" * 5000 + "]" * 5000

# No field of any request takes these.
NEVER: dict[str, str] = {
    "a NUL": '"a\\u0000b"',
    "a lone high surrogate": '"a\\ud800"',
    "a lone low surrogate": '"\\udc00a"',
    "half a pair and a letter": '"\\ud83dx"',
    "text of 100,000 characters": json.dumps("x" * 100_000),
    "letters of four bytes": json.dumps("\U0001f600" * 20_000, ensure_ascii=False),
    "NaN": "NaN",
    "Infinity": "Infinity",
    "minus Infinity": "-Infinity",
    "an overflowing number": "1e400",
    "2^53": "9007199254740992",
    "2^63": "9223372036854775808",
    "2^64": "18446744073709551616",
    "2,000 digits": "9" * 2000,
    "nesting": DEEP,
    "nested objects": '{"a":' * 2000 + "1" + "}" * 2000,
}

# Some fields take one or the other of these: the schema says which.
SOMETIMES: dict[str, str] = {
    "null": "null",
    "true": "true",
    "0": "0",
    "1": "1",
    "-1": "-1",
    "1.5": "1.5",
    "1.0": "1.0",
    "an empty text": '""',
    "a blank": '"  \\t"',
    "digits as text": '"1"',
    "a control character": '"a\\u001bb"',
    "text from right to left": '"\\u202eabc"',
    "a statement": '"\'; DROP TABLE users; --"',
    "wild cards": '"%_\\\\"',
    "markup": '"<script>alert(1)</script>"',
    "an empty list": "[]",
    "a list of lists": "[[1],[2]]",
    "a list of texts": '["a"]',
    "an empty object": "{}",
    "a prototype": '{"__proto__":{"admin":true}}',
}

# Whole bodies, by what is wrong with them; `%s` is a good one.
BODIES: dict[str, bytes] = {
    "nothing but an opening": b"{",
    "cut off": b'{"a":"',
    "a comma too many": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "a comment": b"{}/* */",
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "an overlong encoding": b'{"\xc0\xaf":1}',
    "a surrogate in UTF-8": b'{"\xed\xa0\x80":1}',
    "half a letter": b'{"a":"\xf0\x9f\x98"}',
    "a raw control character": b'{"a":"\x01"}',
    "a list": b"[1]",
    "text": b'"text"',
    "a number": b"1",
    "null": b"null",
    "an unknown field": b'{"unknown":1}',
    "an unknown field of odd letters": b'{"\\ud800":1,"\\u0000":2}',
    "a prototype": b'{"__proto__":{}}',
    "two thousand unknown fields": json.dumps({f"field{number}": number for number in range(2000)}).encode(),
    "nesting": DEEP.encode(),
    "openings": b"[" * 60_000,
    "fields of fields": b'{"a":' * 10_000,
}

CONTENT_TYPES = [
    "",
    "text/plain",
    "application/xml",
    "application/jsonx",
    "application/problem+json",
    "application/x-www-form-urlencoded",
    "multipart/form-data",
    "multipart/form-data; boundary=" + "x" * 500,
    "json",
    ";;;",
    "application/json, text/plain",
]

QUERY_VALUES = [
    "",
    "%00",
    "%ED%A0%80",
    "%C0%AF",
    "%zz",
    "NaN",
    "1e3",
    "-1",
    "0",
    "1.0",
    "9007199254740992",
    "9" * 400,
    "%D9%A1",
    "[]",
    "null",
    "x" * 3000,
    "%27%3B--",
    "%25%25_%5C",
    "true",
]

PATH_VALUES = [
    "0",
    "-1",
    "+1",
    "1.0",
    "1e1",
    "0x1",
    "01",
    "%D9%A1",
    "9007199254740992",
    "9" * 400,
    "%00",
    "%0d%0aX-Injected:1",
    "%F0%28%8C%28",
    "..%2f..%2fetc%2fpasswd",
    "%7B%7D",
    "null",
    "me",
    "'",
    "1;1",
    "{00000000-0000-4000-8000-000000000000}",
    "urn:uuid:00000000-0000-4000-8000-000000000000",
    "x" * 2000,
]

# Positions that a forged cursor may stand for.
POSITIONS: list[Any] = [
    [],
    {},
    "x",
    None,
    *(
        [value] * count
        for count in (1, 2, 3, 4)
        for value in (2**63, 2**64 - 1, -(2**63), -1, 0, True, "\0", "x", None)
    ),
    [True, 2**63 - 1, 2**63],
    [True, 2**63, 2**63 - 1],
    [False, -(2**63) - 1, 1],
    ["9999-12-31T23:59:59", "x"],
    ["0001-01-01T00:00:00+14:00", "00000000-0000-4000-8000-000000000000"],
    ["infinity", "00000000-0000-4000-8000-000000000000"],
    [1.5, 1.5, 1.5],
]


def with_field(body: dict[str, Any], field: str, value: str) -> bytes:
    """The body as JSON, with the text `value` for a field."""
    pairs = [f"{json.dumps(name)}:{json.dumps(good)}" for name, good in body.items() if name != field]
    return ("{" + ",".join([*pairs, f"{json.dumps(field)}:{value}"]) + "}").encode()


def is_acceptable(schema: Document, document: Document, value: str) -> bool:
    """Whether the schema of a field takes a value of SOMETIMES."""
    parsed = json.loads(value)
    # JSON Schema takes 1.0 for an integer; our input does not.
    if isinstance(parsed, float):
        return False
    whole = {**schema, "components": document["components"]}
    return Draft202012Validator(whole, validate_formats=True).is_valid(parsed)
