"""Every operation of the OpenAPI document against a running API: what it answers is what the document says."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
import requests
import schemathesis
from flask import Flask
from hypothesis import strategies
from schemathesis import Case, GenerationMode
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from tests.contract.documents import rest_operations
from tests.people import PASSWORD, make_people
from tests.processes import Api

# The same examples every time, on every machine.
SETTINGS = hypothesis.settings(
    derandomize=True,
    database=None,
    deadline=None,
    max_examples=10,
    phases=[hypothesis.Phase.generate],
    suppress_health_check=list(hypothesis.HealthCheck),
)
CHECKS = [
    schemathesis.checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    # Looks at cases of GenerationMode.NEGATIVE only.
    checks.negative_data_rejection,
]

# After these a session, a password or a number is no longer what it was: each request is made by somebody new.
ENDS_SOMETHING = {"POST /api/auth/logout", "DELETE /api/auth/sessions/{session_id}", "PUT /api/auth/password"}
# Without the code that went to a telephone nobody comes to success.
NEEDS_A_CODE = {"POST /api/auth/verify", "POST /api/auth/password/reset"}


class Somebody:
    """A person with a group, and the values of theirs that stand in place of made-up ones."""

    def __init__(self, app: Flask, api: Api) -> None:
        self.person, self.friend = make_people(app, 2, api.url)
        self.chat_id = self.person.group(self.friend)
        self.message_id = self.friend.send(self.chat_id, "hello")["id"]

    def known(self) -> dict[str, Any]:
        """Good values by the names of parameters and fields."""
        return {
            "chat_id": self.chat_id,
            "user_id": self.friend.id,
            "session_id": self.person.session_id,
            "message_id": self.message_id,
            "reply_to_id": self.message_id,
            "before": self.message_id,
            "member_ids": [self.friend.id],
            "file_id": None,
            "cursor": None,
            "phone": f"+1555{secrets.randbelow(10_000_000):07d}",
            "username": f"user_{secrets.token_hex(8)}",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "old_password": PASSWORD,
        }

    def own_message(self) -> int:
        """The id of a message that the person sent."""
        sent: int = self.person.send(self.chat_id, "mine")["id"]
        return sent

    def credentials(self) -> dict[str, Any]:
        """Good values for signing in."""
        return {"phone": self.person.phone, "password": PASSWORD}

    def tokens(self) -> dict[str, Any]:
        """Good values for refreshing."""
        signed_in = self.person.post("/auth/login", self.credentials())
        return {"refresh_token": signed_in["refresh_token"]}


@pytest.fixture(scope="session")
def schema(api: Api) -> Any:
    """The document that the running API serves."""
    document = requests.get(f"{api.url}/openapi.json", timeout=20).json()
    return schemathesis.openapi.from_dict(document, config=SchemathesisConfig())


@pytest.fixture
def exercise(app: Flask, api: Api, schema: Any) -> Callable[..., set[int]]:
    """Sends examples of an operation, checks the answers, and gives the statuses."""

    def run(name: str, mode: GenerationMode, only_made_up: bool = False) -> set[int]:
        method, _, path = name.partition(" ")
        statuses: set[int] = set()
        somebody = Somebody(app, api)

        def each(case: Case[Any], knows: bool) -> None:
            nonlocal somebody
            if name in ENDS_SOMETHING:
                somebody = Somebody(app, api)
            if not only_made_up and (knows or not statuses):
                _put(case, _values(name, somebody))
            headers = {"Authorization": f"Bearer {somebody.person.access_token}"}
            answer = case.call(base_url=api.url, headers=headers, timeout=20)
            case.validate_response(answer, checks=CHECKS)
            statuses.add(answer.status_code)

        made_up = schema[path][method].as_strategy(generation_mode=mode)
        test: Callable[[], None] = SETTINGS(hypothesis.given(case=made_up, knows=strategies.booleans())(each))
        test()
        return statuses

    return run


def _values(name: str, somebody: Somebody) -> dict[str, Any]:
    own: dict[str, Callable[[], dict[str, Any]]] = {
        "POST /api/auth/login": somebody.credentials,
        "POST /api/auth/refresh": somebody.tokens,
        "POST /api/chats": lambda: {"type": "group", "name": "A group", "user_id": None},
        "POST /api/messages": lambda: {"text": "hello"},
        "PUT /api/messages/{message_id}": lambda: {"message_id": somebody.own_message(), "text": "hello"},
        "POST /api/messages/{message_id}/forward": lambda: {"chat_ids": [somebody.chat_id]},
        "POST /api/chats/{chat_id}/leave": lambda: {"chat_id": somebody.person.group()},
        "GET /api/chats/{chat_id}/messages": lambda: {"after": None, "around": None},
        "GET /api/users": lambda: {"q": "a"},
    }
    return somebody.known() | own.get(name, dict)()


def _put(case: Case[Any], values: dict[str, Any]) -> None:
    """Puts good values in the place of made-up ones; a query's parameter without one is left out."""
    for part in (case.path_parameters, case.body):
        if isinstance(part, dict):
            part |= {name: value for name, value in values.items() if name in part}
    for name in list(case.query or ()):
        if values.get(name, case.query[name]) is None:
            del case.query[name]
        else:
            case.query[name] = values.get(name, case.query[name])


@pytest.mark.parametrize("name", rest_operations())
def test_what_the_document_allows_is_answered_as_it_says(exercise: Callable[..., set[int]], name: str) -> None:
    statuses = exercise(name, GenerationMode.POSITIVE)
    assert min(statuses) < 300 or name in NEEDS_A_CODE, statuses


@pytest.mark.parametrize(
    "name",
    [name for name, operation in rest_operations().items() if operation["parameters"] or "requestBody" in operation],
)
def test_what_the_document_forbids_is_refused_as_it_says(exercise: Callable[..., set[int]], name: str) -> None:
    statuses = exercise(name, GenerationMode.NEGATIVE, only_made_up=True)
    assert max(statuses) >= 400, statuses
