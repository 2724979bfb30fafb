"""Writes docs/configuration.md: `python -m app.commands.settings_page > docs/configuration.md`."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import NoneType
from typing import Any, Literal, get_args, get_origin

from pydantic import ByteSize
from pydantic.fields import FieldInfo

from config.fields import Fields
from config.kinds import Seconds

_HEAD = """# Configuration

Every setting has a default. Settings are environment variables, or lines of a file named `.env` in the checkout;
[.env.example](../.env.example) has them all, to copy. The environment wins over the file, and an empty setting is none.
A bad setting stops the start with a sentence that says which one and why.

Durations are written `45s`, `1m`, `24h`, `30d` or as plain seconds; sizes `64KB`, `100MB` (powers of ten) or `64KiB`
(powers of two); lists with commas. This page is made from `config/fields.py` by
`python -m app.commands.settings_page > docs/configuration.md`.
"""
_GROUP = re.compile(r"^\s+# --- (.+) ---$")
_FIELD = re.compile(r"^    (\w+): .*= Field\(")
_KINDS = {bool: "true or false", int: "number", str: "text", Path: "folder", ByteSize: "size"}
_DURATIONS = ((86_400, "d"), (3_600, "h"), (60, "m"), (1, "s"))
_SIZES = ((1 << 20, "MiB"), (1 << 10, "KiB"), (10**6, "MB"), (10**3, "KB"), (1, "B"))
_READS_SECONDS = get_args(Seconds)[1]


def page() -> str:
    """The page's text."""
    lines = [_HEAD.rstrip()]
    for name in _groups_and_fields():
        field = Fields.model_fields.get(name)
        if field is None:
            title = name[0].upper() + name[1:]
            lines += ["", f"## {title}", "", "| setting | default | value | meaning |", "|---|---|---|---|"]
        else:
            lines.append(f"| `{name.upper()}` | {_default(field)} | {_kind(field)} | {field.description} |")
    return "\n".join(lines) + "\n"


def _groups_and_fields() -> Iterator[str]:
    """The titles of groups and the names of fields, as they stand in config/fields.py."""
    for line in inspect.getsource(Fields).splitlines():
        if found := _GROUP.match(line) or _FIELD.match(line):
            yield found[1]


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    if value is None or value == []:
        return ""
    if _READS_SECONDS in field.metadata:
        return f"`{_in_units(value, _DURATIONS)}`"
    if isinstance(value, ByteSize):
        return f"`{_in_units(value, _SIZES)}`"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _in_units(value: int, units: tuple[tuple[int, str], ...]) -> str:
    return next(f"{value // size}{unit}" for size, unit in units if value % size == 0)


def _kind(field: FieldInfo) -> str:
    options = [option for option in get_args(field.annotation) or (field.annotation,) if option is not NoneType]
    if get_origin(field.annotation) is Literal or get_origin(options[0]) is Literal:
        return ", ".join(f"`{choice}`" for choice in (get_args(options[0]) or options))
    if _READS_SECONDS in field.metadata:
        return "duration"
    if get_origin(field.annotation) is list:
        return "list"
    return _KINDS[options[0]] + _bounds(field)


def _bounds(field: FieldInfo) -> str:
    least, most = (_bound(field, name) for name in ("ge", "le"))
    if most is not None:
        return f", {least} to {most}"
    return "" if not least else f", at least {least}"


def _bound(field: FieldInfo, name: str) -> Any:
    return next((getattr(each, name) for each in field.metadata if hasattr(each, name)), None)


if __name__ == "__main__":
    print(page(), end="")
