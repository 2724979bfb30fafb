"""AsyncAPI 3.0 of the WebSocket, made from the frames that clients send and the events that they receive."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.web.metrics import version
from app.web.schemas import Schema, Schemas
from app.web.socket import EventSpec, FrameSpec

_DESCRIPTION = """Frames are JSON text of at most 64 KiB. Clients send `{"type", "ref"?, "data"}`; a frame with a `ref`
is answered by exactly one `ack` or `error` with the same `ref`. The server sends `{"event", "data"}`.

Nothing is lost: after a reconnect, or when `seq` jumps in a chat, `GET /api/sync` gives what was missed. The REST
interface is described in [its own page](/docs)."""

_CLOSE_CODES = """Close codes: 4401 the token is bad, expired or revoked; 4408 no heartbeat; 4413 too slow;
4429 too many frames; 1009 a frame was too large; 1012 the server restarts: reconnect with jitter."""

_REF: Schema = {"type": ["string", "integer"], "description": "Chosen by the client; repeated in the answer."}
_CHANNEL = {"$ref": "#/channels/socket"}


def document(frames: Mapping[str, FrameSpec], events: Mapping[str, EventSpec]) -> Schema:
    """The AsyncAPI document of the frames (by type) and events (by name)."""
    schemas = Schemas()
    messages: dict[str, Schema] = {}
    operations: dict[str, Schema] = {}
    for name, frame in frames.items():
        messages[f"{name}.frame"] = _message(name, frame.summary, _frame_payload(name, schemas.received(frame.data)))
        operations[f"{name}.frame"] = _operation("receive", f"{name}.frame", frame.summary)
        if frame.answer is not None:
            payload = _event_payload("ack", _with_ref(schemas.answered(frame.answer)))
            messages[f"{name}.ack"] = _message("ack", f"The answer to {name}.", payload)
            reply = {"channel": _CHANNEL, "messages": [_in_channel(f"{name}.ack")]}
            operations[f"{name}.frame"]["reply"] = reply
    for name, event in events.items():
        messages[f"{name}.event"] = _message(name, event.summary, _event_payload(name, schemas.answered(event.data)))
        operations[f"{name}.event"] = _operation("send", f"{name}.event", event.summary)
    return {
        "asyncapi": "3.0.0",
        "info": {"title": "Paperplane events", "version": version(), "description": _DESCRIPTION},
        "defaultContentType": "application/json",
        "channels": {"socket": _channel(messages)},
        "operations": operations,
        "components": {"messages": messages, "schemas": schemas.components},
    }


def _channel(messages: Mapping[str, Schema]) -> Schema:
    token = {"type": "string", "description": "An access token, or better a ticket from POST /api/auth/ws-ticket."}
    query = {"type": "object", "properties": {"token": token}}
    return {
        "address": "/ws",
        "title": "The socket",
        "description": f"The token may also come as `Sec-WebSocket-Protocol: bearer, <token>`.\n\n{_CLOSE_CODES}",
        "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
        "bindings": {"ws": {"method": "GET", "query": query, "bindingVersion": "0.1.0"}},
    }


def _operation(action: str, message: str, summary: str) -> Schema:
    return {"action": action, "channel": _CHANNEL, "summary": summary, "messages": [_in_channel(message)]}


def _in_channel(message: str) -> Schema:
    return {"$ref": f"#/channels/socket/messages/{message}"}


def _message(name: str, summary: str, payload: Schema) -> Schema:
    return {"name": name, "title": name, "summary": summary, "payload": payload}


def _frame_payload(name: str, data: Schema) -> Schema:
    properties = {"type": {"const": name}, "ref": _REF, "data": data}
    return {"type": "object", "required": ["type", "data"], "properties": properties, "additionalProperties": False}


def _event_payload(name: str, data: Schema) -> Schema:
    properties = {"event": {"const": name}, "data": data}
    return {"type": "object", "required": ["event", "data"], "properties": properties}


def _with_ref(answer: Schema) -> Schema:
    """The data of an ack: the `ref`, and beside it what the frame's answer carries."""
    ref: dict[str, Any] = {"type": "object", "required": ["ref"], "properties": {"ref": _REF}}
    return {"allOf": [ref, answer]}
