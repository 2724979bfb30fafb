"""Who is told of calls; the only publisher of the domain."""

from __future__ import annotations

from collections.abc import Iterable

from app.calls.schemas import Call
from app.infra import bus
from app.infra.db import UnitOfWork


def told(unit: UnitOfWork, action: str, views: Iterable[tuple[int, Call]]) -> None:
    """Tells all devices of people what happened to a call, each as seen by them."""
    bus.publish_each(
        unit, [(bus.user_notifications(user_id), bus.payload({}, frame(action, call))) for user_id, call in views]
    )


def answered(unit: UnitOfWork, caller: Call, callee_id: int, session_id: str, callee: Call) -> None:
    """Tells the caller's devices and the one that has answered; the callee's others stop ringing.

    What the caller has said meanwhile waits for the device that has answered.
    """
    here = bus.payload({"only_session": session_id}, frame("answered", callee))
    elsewhere = bus.payload({"except_session": session_id}, frame("answered_elsewhere", callee))
    bus.publish_each(
        unit,
        [
            (bus.user_notifications(caller["caller_id"]), bus.payload({}, frame("answered", caller))),
            (bus.user_notifications(callee_id), here),
            (bus.user_notifications(callee_id), elsewhere),
            (bus.user_notifications(callee_id), _signals_wait(callee["id"], session_id)),
        ],
    )


def told_group(unit: UnitOfWork, action: str, call: Call, starter: Call | None, members_revision: int) -> None:
    """Tells a group of its call, and who started it as seen by that person; None where that is no member any more."""
    starter_id = call["caller_id"]
    header: bus.Header = {"members_revision": members_revision, "except_users": [starter_id]}
    bus.publish(unit, bus.chat_messages(call["chat_id"]), header, frame(action, call))
    if starter is not None:
        bus.publish(unit, bus.user_notifications(starter_id), {}, frame(action, starter))


def signals_wait(user_id: int, call_id: int, session_id: str) -> None:
    """Tells the hub of a device that the other side of the call has said something; never waits."""
    bus.send(bus.user_notifications(user_id), _signals_wait(call_id, session_id))


def _signals_wait(call_id: int, session_id: str) -> bytes:
    return bus.payload({"control": "call_signals", "subject": call_id, "only_session": session_id})


def frame(action: str, call: Call) -> bytes:
    """The event of what happened to a call."""
    return bus.encode("call", {"action": action, "call": call})


def signal_frame(call: bytes, signal_id: int, signal: bytes) -> bytes:
    """The event of what the other side said, put together from finished JSON."""
    head = b'{"event":"call","data":{"action":"signal","call":'
    return b'%b%b,"signal_id":%d,"signal":%b}}' % (head, call, signal_id, signal)
