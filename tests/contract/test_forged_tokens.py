"""Tokens that we did not make, or not for this purpose, at every door that takes one."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import jwt
import pytest
import websocket

from config import settings
from tests.people import Person, close_code

People = Callable[[int], list[Person]]
Forger = Callable[[str, Person], str]

REFUSALS = {"unauthenticated", "token_expired", "session_revoked", "validation_failed"}


def _part(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _header(**fields: Any) -> Forger:
    """The token with another header."""
    return lambda token, _other: ".".join((_part(json.dumps(fields).encode()), *token.split(".")[1:]))


def _signed(key: str, algorithm: str = "HS256", **claims: Any) -> Forger:
    """The token's claims, some of them changed, signed with a key."""

    def forge(token: str, _other: Person) -> str:
        known = jwt.decode(token, options={"verify_signature": False})
        return jwt.encode(known | claims, key, algorithm)

    return forge


def _of_another_person(token: str, other: Person) -> str:
    """Our own signature, but the session is not of that person."""
    return _signed(settings().signing_secret, sub=str(other.id))(token, other)


FORGERIES: dict[str, Forger] = {
    "no algorithm": lambda token, other: _header(alg="none")(token, other).rpartition(".")[0] + ".",
    "no algorithm, signed": _header(alg="nOnE"),
    "another algorithm": _signed(settings().signing_secret, "HS512"),
    "another key": _signed("a key that somebody guessed, of good length"),
    "an algorithm that is no text": _header(alg=["HS256"]),
    "an unencoded payload": _header(alg="HS256", b64=False, crit=["b64"]),
    "a key id that is a path": _header(alg="HS256", kid="../../../../dev/null"),
    "no signature": lambda token, _other: token.rpartition(".")[0] + ".",
    "a nested header": lambda _token, _other: _part(b"[" * 2000) + ".e30.e30",
    "a nested payload": lambda token, _other: token.split(".")[0] + "." + _part(b"[" * 2000) + ".e30",
    "a number of many digits": lambda _token, _other: _part(b'{"alg":' + b"9" * 2500 + b"}") + ".e30.e30",
    "another's person on this session": _of_another_person,
    "a session that never was": _signed(settings().signing_secret, sid="00000000-0000-4000-8000-000000000000"),
    "an expired one": _signed(settings().signing_secret, exp=1_700_000_000),
    "another purpose": _signed(settings().signing_secret, type="refresh"),
    "5,000 letters": lambda _token, _other: "a" * 5000,
    "letters beyond ASCII": lambda _token, _other: "é.ü.ß",
    "a ticket's prefix": lambda token, _other: "ticket." + token,
}


@pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES.keys())
def test_a_forged_token_is_refused_at_every_door(people: People, forge: Forger) -> None:
    ada, eve = people(2)
    forged = forge(ada.access_token, eve)
    assert ada.call("GET", "/auth/me").status_code == 200
    answer = ada.call("GET", "/auth/me", headers={"Authorization": b"Bearer " + forged.encode("latin-1")})
    assert (answer.status_code, answer.headers["Content-Type"]) == (401, "application/problem+json")
    address = f"{ada.url.replace('http', 'ws', 1)}/ws?token={quote(forged)}"
    socket = websocket.create_connection(address, timeout=20)
    assert close_code(socket) == 4401
    socket.shutdown()
    with ada.socket() as living:
        assert living.ask("auth", {"token": forged})["data"]["code"] in REFUSALS
    # Last, because a refresh token that is not the newest ends its session.
    assert ada.call("POST", "/auth/refresh", {"refresh_token": forged}).status_code in (401, 422)
