"""Takes people who have left group calls out of LiveKit's rooms.

Who left is noted in the row of the participant together with the leaving, so it is done whatever dies.
"""

from __future__ import annotations

import structlog

from app.calls import livekit, queries
from app.errors import Unavailable
from app.infra.db import unit_of_work

_BATCH = 100
# Seconds until somebody is taken out again who may come back with an old token, or whom LiveKit did not take out.
_PAUSE = 10

log = structlog.get_logger(__name__)


def clear_rooms() -> int:
    """Takes out of LiveKit's rooms whoever is due, up to a bound; how many. Any number may run at the same time."""
    if not livekit.is_available():
        return 0
    done = 0
    # One after the other: who is taken, and comes back before LiveKit was told, would be taken out all the same.
    for _ in range(_BATCH):
        with unit_of_work() as unit:
            due = queries.take_exit(unit, _PAUSE)
        if due is None:
            break
        call_id, user_id = due
        try:
            livekit.remove_participant(call_id, user_id)
        except livekit.LivekitRefused as error:
            log.warning("livekit_refused", call_id=call_id, error=str(error))
            continue
        except Unavailable as error:
            log.warning("livekit_away", error=type(error.__cause__).__name__)
            break
        with unit_of_work() as unit:
            queries.settle_exit(unit, call_id, user_id, livekit.longest_token(), _PAUSE)
        done += 1
    return done
