"""What README.md shows: its code by language, and the tour, what a reader pastes and what the page says it prints."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

README = Path(__file__).parents[2] / "README.md"

_TOUR = re.compile(r"^## A five-minute tour\n(.*?)^## ", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_CHANGES_EACH_TIME = re.compile(r"…|\d{6,}")


def blocks(language: str) -> list[str]:
    """What the page shows in a language, in order."""
    return [content for kind, content in _FENCED.findall(README.read_text()) if kind == language]


class Step(NamedTuple):
    """Lines to paste, and the lines that they print."""

    commands: str
    printed: list[str]


def tour() -> list[Step]:
    """The steps of the tour, in order."""
    found = _TOUR.search(README.read_text())
    assert found is not None, "README.md has no five-minute tour"
    steps: list[Step] = []
    for kind, content in _FENCED.findall(found[1]):
        if kind == "sh":
            steps.append(Step(content, []))
        else:
            assert kind == "text", f"a block in the tour that is neither pasted nor printed: {kind}"
            steps[-1].printed.extend(content.splitlines())
    return steps


def pattern(line: str) -> re.Pattern[str]:
    """What a printed line looks like: `…` stands for anything, and long numbers (ids, codes) for any number."""
    parts, place = [], 0
    for changing in _CHANGES_EACH_TIME.finditer(line):
        anything = ".*" if changing[0] == "…" else r"\d{6,}"
        # A phone number is told by its plus.
        if line[changing.start() - 1] == "+":
            anything = re.escape(changing[0])
        parts += [re.escape(line[place : changing.start()]), anything]
        place = changing.end()
    return re.compile("".join(parts) + re.escape(line[place:]))
