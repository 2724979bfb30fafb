"""Endpoints that exist only in tests: one for each thing that the edge does."""

from __future__ import annotations

from flask import Blueprint, Response
from pydantic import Field
from sqlalchemy import text
from typing_extensions import TypedDict

from app.errors import Conflict
from app.infra.db import UnitOfWork
from app.web.authentication import Caller
from app.web.endpoint import Answer, operation
from app.web.input import Body, Id, Page, Text

SENTINEL = "sentinel-a3f9c1"


class Note(Body):
    """What `echo` takes."""

    text: Text
    number: Id | None = None
    tags: list[Text] = Field(default_factory=list)


class Search(Page):
    """What `search` takes."""

    q: Text | None = None
    unread: bool = False


class Echo(TypedDict):
    """What came in."""

    text: str


blueprint = Blueprint("probe", __name__, url_prefix="/probe")


@blueprint.post("/echo")
@operation(answers=Echo, status=201, authentication="none")
def echo(body: Note) -> Echo:
    """Say it again.

    With more words than one line holds.
    """
    return {"text": body.text}


@blueprint.get("/search")
@operation(answers=Echo, authentication="none")
def search(query: Search) -> Echo:
    """Search nothing."""
    return {"text": f"{query.limit} {query.unread} {query.q}"}


@blueprint.get("/chats/<int:chat_id>")
@operation(answers=Echo, authentication="none")
def by_id(chat_id: int) -> Echo:
    """Get by id."""
    return {"text": str(chat_id)}


@blueprint.get("/mine")
@operation(answers=Echo, authentication="token")
def mine(caller: Caller) -> Echo:
    """Tell who calls."""
    return {"text": str(caller.user_id)}


@blueprint.get("/statement")
@operation(answers=Echo, authentication="none")
def failing_statement(unit: UnitOfWork) -> Echo:
    """Fail within PostgreSQL, with a secret among the parameters."""
    unit.execute(text("SELECT (:secret)::text, 1 / 0"), {"secret": SENTINEL})
    raise AssertionError("the statement did not fail")


@blueprint.get("/defect")
@operation(answers=Echo, authentication="none")
def defect() -> Echo:
    """Fail as a defect does."""
    raise RuntimeError("first line\n" + SENTINEL)


@blueprint.get("/conflict")
@operation(answers=Echo, authentication="none", raises=(Conflict,))
def conflict() -> Echo:
    """Refuse."""
    raise Conflict("Not now.", errors=[{"field": "text", "message": "not now"}])


@blueprint.delete("/nothing")
@operation(authentication="none")
def nothing() -> None:
    """Answer nothing."""


@blueprint.get("/other")
@operation(answers=Echo, also=(203,), authentication="none")
def other_status() -> Answer:
    """Answer with another status, header and finished bytes."""
    return Answer(b'{"text":"bytes"}', 203, {"X-Other": "yes"})


@blueprint.get("/undeclared")
def undeclared() -> Response:
    """Not declared by @operation."""
    return Response("hidden")
