"""Deadlines without timers: whoever waits too long is told so, whoever is done is left alone."""

from __future__ import annotations

import subprocess
import sys

_BEGIN = """
from gevent import monkey

monkey.patch_all()
import gevent

from app.infra.deadlines import Within


class Late(Exception):
    pass


def wait(name, allowed, needed):
    try:
        with Within(allowed, Late):
            gevent.sleep(needed)
    except Late:
        print(name, "late")
    gevent.sleep(0.01)
    print(name, "done")

"""

_SEVERAL = """
gevent.joinall([gevent.spawn(wait, "long", 0.1, 30), gevent.spawn(wait, "short", 30, 0.1)])
"""

_NESTED = """
try:
    with Within(0.1, Late), Within(30, KeyError):
        gevent.sleep(40)
except Late:
    print("outer late")
wait("the next", 30, 0.1)
"""

_ENDED = """
waits = []


def wait_twice():
    try:
        with Within(30, Late) as _, Within(30, KeyError) as _:
            gevent.sleep(30)
    except Late:
        print("ended")
    gevent.sleep(0.1)
    print("left alone")


class Known(Within):
    def __enter__(self):
        waits.append(self)
        super().__enter__()


Within = Known
waiter = gevent.spawn(wait_twice)
gevent.sleep(0)
waits[0].end()
waits[0].end()
gevent.sleep(0.01)
waits[1].end()
waiter.join()
"""


def printed(program: str) -> list[str]:
    """The lines that a program under gevent prints."""
    done = subprocess.run([sys.executable, "-c", _BEGIN + program], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout.splitlines()


def test_only_who_takes_too_long_is_told_so() -> None:
    assert printed(_SEVERAL) == ["short done", "long late", "long done"]


def test_the_deadline_of_what_is_around_holds_too_and_ends_with_it() -> None:
    assert printed(_NESTED) == ["outer late", "the next done"]


def test_what_is_ended_early_is_ended_once_and_not_after_it_was_left() -> None:
    assert printed(_ENDED) == ["ended", "left alone"]
