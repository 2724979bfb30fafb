"""From a frame to its handler and back: parse, check, limit, dispatch, answer. Nothing ends the socket by accident."""

from __future__ import annotations

import json
import math
import time
from typing import Any

import orjson
import structlog
from pydantic import BaseModel, ValidationError

from app.errors import AppError, MalformedRequest, RateLimited, Unauthenticated, ValidationFailed
from app.infra import bus
from app.infra.db import reading
from app.realtime.addressed import Addressed
from app.realtime.connection import Connection
from app.realtime.frames import CLIENT_FRAMES
from app.realtime.wire import CloseCode, text_frame
from app.web.at_once import in_turn
from app.web.authentication import read_token, require_live_session
from app.web.input import refusal
from app.web.limits import limit_action
from app.web.socket import FrameContext, FrameSpec
from config import settings

log = structlog.get_logger(__name__)

_LONGEST_REF = 64
_MOST_NAMED = 20
_TYPES = ", ".join(sorted(CLIENT_FRAMES))
_PONG = text_frame(bus.encode("pong", {}))

Ref = str | int | None


class FrameAllowance:
    """A token bucket in this process: so many frames a second on average, and a burst at once."""

    __slots__ = ("_counts", "_filled_at", "_tokens", "is_spent")

    def __init__(self, always: bool = False) -> None:
        """`always`: also where RATE_LIMIT_ENABLED is off."""
        self._counts = always or settings().rate_limit_enabled
        self._tokens = float(settings().ws_frames_burst)
        self.is_spent = False
        self._filled_at = time.monotonic()

    def take(self) -> bool:
        """Takes one frame's token; False where none is left."""
        if not self._counts:
            return True
        now = time.monotonic()
        refill = (now - self._filled_at) * settings().ws_frames_per_second
        self._tokens = min(settings().ws_frames_burst, self._tokens + refill)
        self._filled_at = now
        if self._tokens < 1:
            self.is_spent = True
            return False
        self._tokens -= 1
        return True


def handle(connection: Connection, text: str) -> None:
    """Handles one frame and answers it: a frame with a `ref` gets exactly one `ack` or `error`."""
    ref: Ref = None
    try:
        frame = _parse(text)
        ref = _ref_of(frame)
        answer = _dispatch(connection, frame)
        if ref is not None:
            connection.send(_ack(ref, answer, connection.user_id))
    except AppError as error:
        connection.send(_error(ref, error))
        if isinstance(error, Unauthenticated):
            connection.close(CloseCode.UNAUTHENTICATED, error.code)
    except Exception:
        log.exception("frame_failed", user_id=connection.user_id)
        connection.send(_error(ref, AppError()))


def _parse(text: str) -> dict[str, Any]:
    try:
        frame = orjson.loads(text)
    except orjson.JSONDecodeError:
        frame = _parse_leniently(text)
    if not isinstance(frame, dict):
        raise MalformedRequest('A frame is a JSON object: {"type": ..., "ref": ..., "data": {...}}.')
    return frame


def _parse_leniently(text: str) -> Any:
    """Reads also lone surrogates, so that such a frame's `ref` can be answered; its data is refused all the same."""
    try:
        return json.loads(text, parse_constant=_refuse_constant, parse_float=_finite)
    except (ValueError, RecursionError):
        raise MalformedRequest("The frame is not well-formed JSON.") from None


def _refuse_constant(name: str) -> float:
    """NaN and Infinity are not JSON, and would become null on the way to the models."""
    raise ValueError(name)


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(digits)
    return number


def _ref_of(frame: dict[str, Any]) -> Ref:
    ref = frame.get("ref")
    if ref is None:
        return None
    if isinstance(ref, bool) or not isinstance(ref, str | int):
        raise ValidationFailed(errors=[{"field": "ref", "message": "must be text or an integer"}])
    if isinstance(ref, str):
        if len(ref) > _LONGEST_REF or not ref.isprintable():
            raise ValidationFailed(errors=[{"field": "ref", "message": f"at most {_LONGEST_REF} printable characters"}])
    elif abs(ref) >= 2**53:
        raise ValidationFailed(errors=[{"field": "ref", "message": "must be below 2^53"}])
    return ref


def _dispatch(connection: Connection, frame: dict[str, Any]) -> Any:
    unknown = frame.keys() - {"type", "ref", "data"}
    if unknown:
        # A long list of unknown fields must not become a far longer answer.
        names = sorted(unknown)[:_MOST_NAMED]
        raise ValidationFailed(errors=[{"field": _printable(name), "message": "unknown field"} for name in names])
    kind = frame.get("type")
    spec = CLIENT_FRAMES.get(kind) if isinstance(kind, str) else None
    if spec is None:
        raise ValidationFailed(errors=[{"field": "type", "message": f"one of {_TYPES}"}])
    data = _data(spec.data, frame)
    if spec.action is not None:
        limit_action(connection.user_id, spec.action)
    if kind == "ping":
        connection.send(_PONG)
        return None
    if not spec.waits_its_turn:
        return _act(connection, spec, data)
    with in_turn(connection.user_id):
        return _act(connection, spec, data)


def _act(connection: Connection, spec: FrameSpec, data: Any) -> Any:
    if spec.handler is not None:
        return spec.handler(FrameContext(connection.caller, connection.id), data)
    _renew(connection, data)
    return None


def _printable(name: str) -> str:
    """A name that the client chose, as it can be told: short, and without lone surrogates."""
    return name[:_LONGEST_REF].encode(errors="replace").decode()


def _data(model: type[BaseModel], frame: dict[str, Any]) -> Any:
    """The frame's data as its model, by the same rules as a JSON body."""
    data = frame.get("data")
    try:
        return model.model_validate_json(orjson.dumps({} if data is None else data))
    except ValidationError as error:
        raise refusal(error) from None
    except (TypeError, RecursionError):
        raise ValidationFailed(
            errors=[{"field": "data", "message": "numbers out of range, lone surrogates or too deep"}]
        ) from None


def _renew(connection: Connection, data: Any) -> None:
    """Takes a fresh token of the same session; raises Unauthenticated for another's."""
    caller = read_token(data.token)
    if (caller.user_id, caller.session_id) != (connection.user_id, connection.caller.session_id):
        raise Unauthenticated("The token is of another session: open a new socket for it.")
    with reading() as unit:
        require_live_session(unit, caller)
    connection.caller = caller


def _ack(ref: Ref, answer: Any, user_id: int) -> bytes:
    """`{"event":"ack","data":{"ref":..., ...answer}}`; an answer in finished JSON is spliced in."""
    head = b'{"event":"ack","data":{"ref":' + orjson.dumps(ref)
    body = answer if isinstance(answer, bytes) else orjson.dumps(answer or {})
    rest = body[1:-1]
    return Addressed(head + (b"," + rest if rest else b"") + b"}}").to(user_id)


def _error(ref: Ref, error: AppError) -> bytes:
    data: dict[str, Any] = {"code": error.code, "detail": error.detail}
    if ref is not None:
        data["ref"] = ref
    if error.errors:
        data["errors"] = error.errors
    if error.retry_after is not None:
        data["retry_after"] = error.retry_after
    return text_frame(bus.encode("error", data))


def too_many_frames() -> bytes:
    """The `error` that goes before a socket is closed with 4429."""
    return _error(None, RateLimited("Too many frames: reconnect and send fewer.", retry_after=1))
