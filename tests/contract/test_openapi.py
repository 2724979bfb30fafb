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

from tests.auth.clients import Person as NewPerson
from tests.auth.clients import codes_to
from tests.contract.documents import rest_operations
from tests.files import tus
from tests.files.places import uploaded
from tests.people import PASSWORD, Person, make_people
from tests.processes import Api
from tests.unique import new_phone

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
# Of what is not as the document says. 412: another version of tus, about which nothing else matters.
REFUSALS = ("400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "429")

# After these a session, a password or a number is no longer what it was: each request is made by somebody new.
ENDS_SOMETHING = {"POST /api/auth/logout", "DELETE /api/auth/sessions/{session_id}", "PUT /api/auth/password"}
# Without S3 nobody comes to a form for it.
NEEDS_S3 = {"POST /api/files/direct"}


@schemathesis.serializer(tus.PIECE_TYPE)
def pieces(_context: Any, value: Any) -> Any:
    """Bodies of tus are bytes as they are."""
    return value if isinstance(value, bytes) else str(value).encode()


class Somebody:
    """A person with a group who has signed in, and the values of theirs that stand in place of made-up ones."""

    def __init__(self, app: Flask, api: Api) -> None:
        self.app = app
        self.person, self.friend = make_people(app, 2, api.url)
        self._sign_in(self.person)
        self.chat_id = self.person.group(self.friend)
        self.message_id = self.friend.send(self.chat_id, "hello")["id"]
        self.call_id: int | None = None

    def _sign_in(self, person: Person) -> None:
        """Over the API, so that the session is one as everybody has it."""
        person.access_token = person.post("/auth/login", self.credentials())["access_token"]
        (own,) = [session for session in person.get("/auth/sessions")["items"] if session["current"]]
        person.session_id = own["id"]

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
            "phone": new_phone(),
            "username": f"user_{secrets.token_hex(8)}",
            "first_name": "Ada",
            "last_name": "Lovelace",
            "old_password": PASSWORD,
        }

    def own_message(self) -> int:
        """The id of a message that the person sent."""
        sent: int = self.person.send(self.chat_id, "mine")["id"]
        return sent

    def own_file(self) -> dict[str, Any]:
        """A file of the person's, without what would make it another variant or somebody else's link."""
        nothing = dict.fromkeys(("thumbnail", "viewer", "until", "signature"))
        return nothing | {"file_id": uploaded(self.person, b"hello")["id"]}

    def upload(self) -> dict[str, Any]:
        """An upload of the person's that has room for anything made up."""
        nothing = dict.fromkeys(("Upload-Checksum", "Upload-Metadata"))
        values = {"Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Upload-Length": "1000000"}
        return nothing | values | {"file_id": tus.begun(self.person, 1_000_000).rpartition("/")[2]}

    def ringing_call(self) -> int:
        """The id of a call that rings for the person, or did."""
        if self.call_id is None:
            start = {"user_id": self.person.id, "call_type": "audio"}
            self.call_id = int(self.friend.post("/calls/start", start)["id"])
        return self.call_id

    def credentials(self) -> dict[str, Any]:
        """Good values for signing in."""
        return {"phone": self.person.phone, "password": PASSWORD}

    def new_account(self) -> dict[str, Any]:
        """Good values for verifying the number of somebody who has just registered."""
        person = NewPerson(self.app)
        assert person.register().status_code == 202
        return {"phone": person.phone, "code": codes_to(person.phone)[-1]}

    def forgotten(self) -> dict[str, Any]:
        """Good values for a new password, with a code that is used up by it."""
        if not codes_to(self.person.phone):
            self.person.post("/auth/password/forgot", {"phone": self.person.phone}, status=202)
        return {"phone": self.person.phone, "code": codes_to(self.person.phone)[-1]}

    def tokens(self) -> dict[str, Any]:
        """Good values for refreshing."""
        signed_in = self.person.post("/auth/login", self.credentials())
        return {"refresh_token": signed_in["refresh_token"]}


@pytest.fixture(scope="session")
def schema(api: Api) -> Any:
    """The document that the running API serves."""
    document = requests.get(f"{api.url}/openapi.json", timeout=20).json()
    rejection = {"expected-statuses": list(REFUSALS)}
    config = SchemathesisConfig.from_dict({"checks": {"negative_data_rejection": rejection}})
    return schemathesis.openapi.from_dict(document, config=config)


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
        "POST /api/auth/verify": somebody.new_account,
        "POST /api/auth/password/reset": somebody.forgotten,
        "POST /api/chats": lambda: {"type": "group", "name": "A group", "user_id": None},
        "POST /api/messages": lambda: {"text": "hello"},
        "PUT /api/messages/{message_id}": lambda: {"message_id": somebody.own_message(), "text": "hello"},
        "POST /api/messages/{message_id}/forward": lambda: {"chat_ids": [somebody.chat_id]},
        "POST /api/chats/{chat_id}/leave": lambda: {"chat_id": somebody.person.group()},
        "GET /api/chats/{chat_id}/messages": lambda: {"after": None, "around": None},
        "GET /api/users": lambda: {"q": "a"},
        "GET /api/files/{file_id}": somebody.own_file,
        "GET /api/files/{file_id}/info": somebody.own_file,
        "DELETE /api/files/{file_id}": somebody.own_file,
        "POST /api/files/direct/{file_id}": somebody.own_file,
        "POST /api/files/tus": somebody.upload,
        "HEAD /api/files/tus/{file_id}": somebody.upload,
        "PATCH /api/files/tus/{file_id}": somebody.upload,
        "DELETE /api/files/tus/{file_id}": somebody.upload,
        "POST /api/calls/start": lambda: {"chat_id": None},
        "POST /api/calls/{call_id}/answer": lambda: {"call_id": somebody.ringing_call()},
        "POST /api/calls/{call_id}/end": lambda: {"call_id": somebody.ringing_call()},
        "GET /api/calls/{call_id}": lambda: {"call_id": somebody.ringing_call()},
    }
    return somebody.known() | own.get(name, dict)()


def _put(case: Case[Any], values: dict[str, Any]) -> None:
    """Puts good values in the place of made-up ones; a parameter of a query or header without one is left out."""
    for part in (case.path_parameters, case.body):
        if isinstance(part, dict):
            part |= {name: value for name, value in values.items() if name in part}
    for given in (case.query, case.headers):
        for name in list(given or ()):
            if values.get(name, given[name]) is None:
                del given[name]
            else:
                given[name] = values.get(name, given[name])


@pytest.mark.parametrize("name", rest_operations())
def test_what_the_document_allows_is_answered_as_it_says(exercise: Callable[..., set[int]], name: str) -> None:
    statuses = exercise(name, GenerationMode.POSITIVE)
    assert min(statuses) < 300 or name in NEEDS_S3, statuses


@pytest.mark.parametrize(
    "name",
    [name for name, operation in rest_operations().items() if operation["parameters"] or "requestBody" in operation],
)
def test_what_the_document_forbids_is_refused_as_it_says(exercise: Callable[..., set[int]], name: str) -> None:
    statuses = exercise(name, GenerationMode.NEGATIVE, only_made_up=True)
    assert max(statuses) >= 400, statuses
