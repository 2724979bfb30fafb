"""A process that uses much of a processor tells so, and is forgotten soon after."""

from __future__ import annotations

import time
from pathlib import Path

import requests

from app.infra import busy
from tests.processes import eventually, running_api


def test_the_share_of_a_processor_is_what_was_used_since_it_was_asked_for() -> None:
    load = busy.Load()
    began, used = time.monotonic(), time.process_time()
    while time.process_time() < used + 0.2:
        pass
    least = 0.2 / (time.monotonic() - began + 0.1)
    assert load.share() > least * 0.9
    time.sleep(0.3)
    began, used = time.monotonic(), time.process_time()
    assert load.share() < 0.2, "what was used before counts no more"


def test_an_api_process_that_is_busy_tells_so_for_a_moment(alone: None, data_dir: Path) -> None:
    with running_api(data_dir, BUSY_PERCENT="1") as api:

        def is_told_under_load() -> bool:
            requests.get(f"{api.url}/readyz", timeout=60)
            return busy.is_told()

        eventually(is_told_under_load)
    eventually(lambda: not busy.is_told())


def test_an_api_process_that_is_not_tells_nothing(alone: None, data_dir: Path) -> None:
    with running_api(data_dir, BUSY_PERCENT="100") as api:
        requests.get(f"{api.url}/readyz", timeout=60).raise_for_status()
        assert not busy.is_told()
