"""People who sign up and in through the HTTP door, each with a number, a username and an address of their own."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from itertools import count
from typing import Any, cast

from flask import Flask
from werkzeug.test import TestResponse

from config import settings
from tests.unique import new_phone

PASSWORD = "correct horse battery"
_addresses = count(1)


def new_username() -> str:
    """A username that no other test has."""
    return f"user_{secrets.token_hex(8)}"


def new_address() -> str:
    """An address that no other test asks from."""
    number = next(_addresses)
    return f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"


def messages_to(phone: str) -> list[str]:
    """The text messages that went to a number, the oldest first."""
    log = settings().data_dir / "sms.log"
    lines = log.read_text().splitlines() if log.exists() else []
    return [line.removeprefix(f"SMS to {phone}: ") for line in lines if line.startswith(f"SMS to {phone}: ")]


def codes_to(phone: str) -> list[str]:
    """The codes that went to a number, the oldest first."""
    found = (re.fullmatch(r"(\d{6}) is your Paperplane code", text) for text in messages_to(phone))
    return [match[1] for match in found if match]


def wrong_code(phone: str, place: int = 0) -> str:
    """A code that is none of those sent to the number; another one for each `place`."""
    return f"{(int(codes_to(phone)[-1]) + 1 + place) % 1_000_000:06d}"


class Answer(TestResponse):
    """A response whose JSON may be anything."""

    json: Any


@dataclass
class Device:
    """A client of the API at an address of its own; keeps the tokens that it was given."""

    app: Flask
    address: str = field(default_factory=new_address)
    tokens: dict[str, Any] = field(default_factory=dict)

    def call(self, method: str, path: str, body: Any = None, *, token: str | None = None, **options: Any) -> Answer:
        """One request below /api, with the access token, if there is one."""
        token = token or self.tokens.get("access_token")
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        headers |= options.pop("headers", {})
        answer = self.app.test_client().open(
            f"/api{path}",
            method=method,
            json=body,
            headers=headers,
            environ_overrides={"REMOTE_ADDR": self.address},
            **options,
        )
        return cast(Answer, answer)

    def get(self, path: str, **options: Any) -> Answer:
        return self.call("GET", path, **options)

    def post(self, path: str, body: Any = None, **options: Any) -> Answer:
        return self.call("POST", path, {} if body is None else body, **options)

    def keep(self, answer: Answer) -> Answer:
        """Keeps the tokens of an answer for the calls that follow."""
        self.tokens = {name: answer.json[name] for name in ("access_token", "refresh_token")}
        return answer


@dataclass
class Person(Device):
    """Somebody with a number, a username and a password."""

    phone: str = field(default_factory=new_phone)
    username: str = field(default_factory=new_username)
    password: str = PASSWORD
    id: int = 0

    def register(self, **changes: Any) -> Answer:
        """Asks to sign up."""
        body = {
            "phone": self.phone,
            "password": self.password,
            "first_name": "Ada",
            "last_name": "Lovelace",
            "username": self.username,
        }
        return self.post("/auth/register", body | changes)

    def verify(self, code: str | None = None) -> Answer:
        """Sends the last code back, or another one."""
        return self.post("/auth/verify", {"phone": self.phone, "code": code or codes_to(self.phone)[-1]})

    def sign_up(self, **changes: Any) -> Person:
        """Registers and verifies; is signed in then."""
        assert self.register(**changes).status_code == 202
        answer = self.verify()
        assert answer.status_code == 201, answer.json
        self.id = self.keep(answer).json["user"]["id"]
        return self

    def login(self, password: str | None = None) -> Answer:
        """Asks to sign in."""
        return self.post("/auth/login", {"phone": self.phone, "password": password or self.password})

    def device(self) -> Device:
        """Another device of the person, signed in."""
        device = Device(self.app)
        device.keep(device.post("/auth/login", {"phone": self.phone, "password": self.password}))
        return device
