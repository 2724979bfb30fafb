"""What the handlers of socket frames are given, and how a frame is declared."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from app.web.authentication import Caller


@dataclass(frozen=True, slots=True)
class FrameContext:
    """Who sent a frame, over which connection (an id that hubs know)."""

    caller: Caller
    connection_id: str


Handler = Callable[[FrameContext, Any], Any]
"""Handles a frame's data; answers the fields of its `ack` as a mapping or finished JSON object bytes, or None."""


@dataclass(frozen=True, slots=True)
class FrameSpec:
    """A frame that clients send: the model of its data, what its `ack` carries, its handler, the rate limit.

    It `waits_its_turn` where a person's requests and frames that are at work at once are bounded, see app/web/at_once.
    Without a handler it concerns the connection itself, and the gateway handles it.
    """

    data: type[BaseModel]
    answer: Any
    handler: Handler | None
    summary: str
    action: str | None = None
    waits_its_turn: bool = True


@dataclass(frozen=True, slots=True)
class EventSpec:
    """An event that clients receive: the annotation of its data; `droppable` ones go first when a queue fills."""

    data: Any
    summary: str
    droppable: bool = False
