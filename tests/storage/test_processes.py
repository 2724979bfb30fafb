"""What only shows in processes of their own: kills, memory, forks, gevent, a full disk."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from app.infra.storage import NoSuchObject
from tests.storage.dying import _DATA
from tests.storage.places import MEGABYTE, Place

_PROJECT = Path(__file__).parents[2]
_WHOLE = hashlib.sha256(_DATA).hexdigest()
_LONGEST = 600


def _run(*arguments: str) -> list[Any]:
    """What the program prints, line by line."""
    done = subprocess.run(
        [sys.executable, "-m", *arguments], cwd=_PROJECT, capture_output=True, text=True, timeout=_LONGEST, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith(("{", "["))]


def test_an_object_is_whole_or_not_there_whenever_its_process_is_killed(place: Place) -> None:
    told = _run("tests.storage.dying", place.dumped(), "store")
    killed, last = told[:-1], told[-1]
    assert [each["killed"] for each in told] == [True] * len(killed) + [False]
    assert last["object"] == _WHOLE
    # Most steps come before the object appears.
    assert len([each for each in killed if each["object"] is None]) >= 6
    assert {each["object"] for each in killed} <= {None, _WHOLE}
    assert all(each["listed"] == (each["object"] is not None) for each in told)
    kept = place.open()
    later = datetime.now(UTC) + timedelta(hours=1)
    assert kept.remove_leftovers(later, later) > 0
    assert kept.remove_leftovers(later, later) == 0
    assert kept.size(last["key"]) == len(_DATA)
    with pytest.raises(NoSuchObject):
        kept.size(killed[0]["key"])


def test_an_upload_goes_on_whenever_its_process_is_killed(place: Place) -> None:
    told = _run("tests.storage.dying", place.dumped(), "upload")
    assert len(told) >= 10
    assert {each["before"] for each in told} <= {None, _WHOLE}
    assert [each["object"] for each in told] == [_WHOLE] * len(told)
    assert [each["left"] for each in told] == [[]] * len(told)


def test_a_hundred_megabytes_cost_less_than_twenty_of_memory(place: Place) -> None:
    [grown] = _run("tests.storage.processes", "memory", place.dumped())
    # What holds everything is seen to.
    assert grown.pop("held") > 90 * MEGABYTE
    assert len(grown) == 4
    assert all(each < 20 * MEGABYTE for each in grown.values()), grown


def test_a_child_makes_connections_of_its_own(bucket: Place) -> None:
    [told] = _run("tests.storage.processes", "forked", bucket.dumped())
    # The parent's, which it leaves alone, and its own.
    assert told == {"found": "of the parent", "clients": 2}


def test_a_full_disk_is_unavailable_and_keeps_what_it_told(disk: Place) -> None:
    [told] = _run("tests.storage.processes", "full", disk.dumped())
    assert told == {"said": ["unavailable"] * 3, "files": 1, "length": 0}


def test_requests_are_served_while_one_waits_for_a_disk(disk: Place) -> None:
    [told] = _run("tests.storage.processes", "gevent_serves", disk.dumped())
    assert told == {"before": False, "read": "at last", "others": [True, True, True]}


def test_greenlets_use_the_storage_beside_each_other(place: Place) -> None:
    [told] = _run("tests.storage.processes", "gevent_round_trips", place.dumped())
    assert told == [True] * 5
