"""A way to examine a file that a test has made."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from app.media.examination import examine
from app.media.limits import Limits, configured
from app.media.outcome import Examined, Outcome

Examine = Callable[..., Outcome]
Look = Callable[..., Examined]


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """The folder that results are written to."""
    folder = tmp_path / "out"
    folder.mkdir()
    return folder


@pytest.fixture
def outcome(out: Path) -> Examine:
    """Examines a file; gives whatever comes of it."""

    def examined(path: Path, limits: Limits | None = None) -> Outcome:
        return examine(path, out, "it", limits or configured())

    return examined


@pytest.fixture
def look(outcome: Examine) -> Look:
    """Examines a file that is good; gives the findings."""

    def found(path: Path) -> Examined:
        result = outcome(path)
        assert isinstance(result, Examined), result
        return result

    return found
