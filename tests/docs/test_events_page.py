"""docs/events.md names the frames, events and close codes that there are, with their fields."""

from __future__ import annotations

import re
from pathlib import Path

from app.realtime.frames import CLIENT_FRAMES, SERVER_EVENTS
from app.realtime.wire import CloseCode

_PAGE = Path(__file__).parents[2] / "docs" / "events.md"
_CODE = re.compile(r"`(\w+)`")


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    section = _PAGE.read_text().split(f"\n## {heading}\n")[1].split("\n## ")[0]
    table = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[2:]]


def test_the_frames_are_those_that_there_are() -> None:
    shown = {row[0].strip("`"): row for row in rows("Frames: what you send")}
    assert list(shown) == list(CLIENT_FRAMES)
    for kind, frame in CLIENT_FRAMES.items():
        assert set(frame.data.model_fields) <= set(_CODE.findall(shown[kind][1])), kind
        answered = frame.answer.__annotations__ if frame.answer and frame.answer.__name__ != "Message" else {}
        assert set(_CODE.findall(shown[kind][2])) - {"pong"} == set(answered), kind


def test_the_events_are_those_that_there_are() -> None:
    shown = {row[0].strip("`"): row for row in rows("Events: what you receive")}
    assert list(shown) == list(SERVER_EVENTS)
    for name, event in SERVER_EVENTS.items():
        if event.data.__name__ in ("Message", "Chat", "File"):
            assert f"the {event.data.__name__}" in shown[name][1], name
        else:
            assert set(event.data.__annotations__) <= set(_CODE.findall(shown[name][1])), name


def test_the_close_codes_are_those_that_there_are() -> None:
    shown = {int(code) for row in rows("When a socket is closed") for code in re.findall(r"\d{4}", row[0])}
    assert shown == set(CloseCode)
