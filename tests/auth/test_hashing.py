"""Password hashes, in plain threads and under gevent."""

from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from app.errors import Unavailable
from app.infra import passwords

_UNDER_GEVENT = """
from gevent import monkey
monkey.patch_all()
import gevent
from app.infra.passwords import hash_password, password_matches

turns = 0

def others():
    global turns
    while True:
        turns += 1
        gevent.sleep(0)

waiting = gevent.spawn(others)
hashed = hash_password("correct horse")
while_hashing = turns
assert password_matches(hashed, "correct horse")
assert not password_matches(hashed, "wrong horse")
waiting.kill()
print(while_hashing)
"""


def test_a_password_matches_its_own_hash_only() -> None:
    hashed = passwords.hash_password("correct horse")
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert passwords.hash_password("correct horse") != hashed
    assert passwords.password_matches(hashed, "correct horse")
    assert not passwords.password_matches(hashed, "wrong horse")
    assert not passwords.password_matches(None, "correct horse")
    assert not passwords.password_matches("not a hash", "correct horse")


def test_other_greenlets_run_while_a_password_is_hashed() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _UNDER_GEVENT], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 1


def test_who_waits_too_long_for_a_turn_is_told_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    turn = threading.BoundedSemaphore(1)
    monkeypatch.setattr(passwords, "_turns", turn)
    monkeypatch.setattr(passwords, "_LONGEST_WAIT", 0.01)
    with turn, pytest.raises(Unavailable) as refused:
        passwords.hash_password("correct horse")
    assert refused.value.retry_after
    assert passwords.hash_password("correct horse")
