"""The pages about settings say what the settings are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

import config
from app.commands.settings_page import page
from config.example import example

_PROJECT = Path(__file__).parents[2]


def test_the_example_of_settings_is_in_step() -> None:
    is_in_step = (_PROJECT / ".env.example").read_text() == example()
    assert is_in_step, "run: python -m config.example > .env.example"


def test_the_page_of_settings_is_in_step() -> None:
    is_in_step = (_PROJECT / "docs/configuration.md").read_text() == page()
    assert is_in_step, "run: python -m app.commands.settings_page > docs/configuration.md"


def test_the_page_has_every_setting() -> None:
    rows = [line for line in page().splitlines() if line.startswith("| `")]
    assert [row.split("`")[1] for row in rows] == [name.upper() for name in config.Settings.model_fields]


def test_the_defaults_of_the_page_mean_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in config.Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    shown: dict[str, Any] = {
        cells[1].strip(" `").lower(): cells[2].strip(" `")
        for cells in (line.split("|") for line in page().splitlines() if line.startswith("| `"))
    }
    given = config.Settings(_env_file=None, **{name: value for name, value in shown.items() if value})
    assert given == config.Settings(_env_file=None)


@pytest.mark.parametrize(("written", "seconds"), [("0", 0), ("45", 45), ("1m", 60), ("24h", 86_400)])
def test_the_patience_of_search_is_a_duration_that_may_be_none(written: str, seconds: int) -> None:
    given: dict[str, Any] = {"search_patience": written}
    assert config.Settings(_env_file=None, **given).search_patience == seconds


def test_other_durations_are_not_none() -> None:
    given: dict[str, Any] = {"ws_heartbeat": "0"}
    with pytest.raises(ValidationError):
        config.Settings(_env_file=None, **given)
