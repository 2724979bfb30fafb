"""The rules of calls, as verbs: who may call whom, and how a call goes on and ends."""

from app.calls.queries import CallRow
from app.calls.service.answering import answer_call
from app.calls.service.ending import end_call
from app.calls.service.rooms import clear_rooms
from app.calls.service.signals import send_signal
from app.calls.service.starting import start_call
from app.calls.service.sweeping import end_barred, sweep
from app.calls.service.views import get_call, list_calls
from app.calls.service.waiting import event_of_now, live_calls, waiting_signals

__all__ = [
    "CallRow",
    "answer_call",
    "clear_rooms",
    "end_barred",
    "end_call",
    "event_of_now",
    "get_call",
    "list_calls",
    "live_calls",
    "send_signal",
    "start_call",
    "sweep",
    "waiting_signals",
]
