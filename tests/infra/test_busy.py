"""A process that uses much of a processor tells so, and is forgotten soon after."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import requests

from app.infra import busy
from tests.processes import eventually, running_api


def test_the_share_of_a_processor_is_what_was_used_since_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    moment, used = 100.0, 7.0
    monkeypatch.setattr(busy, "time", SimpleNamespace(monotonic=lambda: moment, process_time=lambda: used))
    load = busy.Load()
    moment, used = 102.0, 8.0
    assert load.share() == 0.5
    moment, used = 106.0, 8.0
    assert load.share() == 0.0
    moment, used = 107.0, 10.0
    assert load.share() == 2.0


def test_an_api_process_that_is_busy_tells_so_for_a_moment(alone: None, data_dir: Path) -> None:
    with running_api(data_dir, BUSY_PERCENT="1") as api:

        def is_told_under_load() -> bool:
            requests.get(f"{api.url}/readyz", timeout=60)
            return busy.is_told()

        eventually(is_told_under_load)
    eventually(lambda: not busy.is_told())


def test_nobody_is_told_of_a_process_that_is_not(monkeypatch: pytest.MonkeyPatch, alone: None) -> None:
    shares = iter((0.39, 0.4))
    monkeypatch.setattr(busy.Load, "share", lambda _: next(shares))
    monkeypatch.setattr(
        busy, "time", SimpleNamespace(sleep=lambda _: None, monotonic=lambda: 0, process_time=lambda: 0)
    )
    with pytest.raises(StopIteration):
        busy.keep_telling()
    assert not busy.is_told()
    shares = iter((0.41,))
    with pytest.raises(StopIteration):
        busy.keep_telling()
    assert busy.is_told()
