"""Hostile files on their whole way: from the upload to what others are served; the worker lives on.

With files in a folder, and with files in a bucket.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import requests

from tests.files.places import Place, uploaded
from tests.media.makers import bomb, sound, video
from tests.people import Person
from tests.processing.conftest import Making
from tests.processing.pictures import HTML, PLAYLIST, SVG, gif_with_script, jpeg, truncated

# What may be shown in a page; all else is only to be saved.
_SHOWN = ("image/png", "image/jpeg", "image/gif", "image/webp", "video/mp4")


def looked_at(person: Person, content: bytes, name: str) -> dict[str, Any]:
    """What comes of an upload, as the owner's devices are told."""
    with person.socket() as socket:
        file = uploaded(person, content, name)
        assert file["status"] == "processing"
        told: dict[str, Any] = socket.next("file_updated", id=file["id"])
    return told


def served(person: Person, file: dict[str, Any]) -> requests.Response:
    """What the file's link gives."""
    return requests.get(person.url + file["url"], timeout=20)


def hostile(folder: Path) -> dict[str, tuple[str, bytes, str]]:
    """Names of files, their bytes, and what must come of them: a reason why they have failed, or a kind."""
    film = video(folder / "film.mp4").read_bytes()
    return {
        "bomb": ("bomb.png", bomb(folder / "bomb.png").read_bytes(), "too_large"),
        "empty": ("nothing.jpg", b"", "empty"),
        "truncated photo": ("photo.jpg", truncated(jpeg()), "damaged"),
        "truncated film": ("film.mp4", truncated(film), "damaged"),
        "playlist": ("film.mp4", PLAYLIST, "playlist"),
        "page": ("photo.png", HTML, "file"),
        "drawing": ("photo.svg", SVG, "file"),
        "picture and script": ("photo.gif", gif_with_script(), "image"),
        "path": ("../../../etc/passwd", b"root:x:0:0", "file"),
        "control characters": ("a\x1b[31m\u202egpj.exe", b"MZ\x90\x00", "file"),
    }


@pytest.mark.parametrize(
    "what",
    [
        "bomb",
        "empty",
        "truncated photo",
        "truncated film",
        "playlist",
        "page",
        "drawing",
        "picture and script",
        "path",
        "control characters",
    ],
)
def test_a_hostile_file_fails_or_is_served_as_what_cannot_do_harm(
    place: Place, persons: Making, tmp_path: Path, what: str
) -> None:
    (ada,) = persons(1)
    name, content, wanted = hostile(tmp_path)[what]
    file = looked_at(ada, content, name)
    assert wanted == (file["failure"] or file["kind"])
    assert not set(file["name"]) & set("/\\\x1b\u202e")
    answer = served(ada, file)
    kind = answer.headers["Content-Type"].partition(";")[0]
    if place.server is None:  # A bucket has an address of its own, where nothing of ours can be reached.
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "sandbox" in answer.headers["Content-Security-Policy"]
    is_inline = answer.headers["Content-Disposition"].startswith("inline")
    assert not is_inline or kind in _SHOWN
    # The worker lives on: it looks at the next one.
    assert looked_at(ada, jpeg(), "photo.jpg")["status"] == "ready"


def test_others_get_no_script_that_follows_a_picture(persons: Making) -> None:
    ada, bob = persons(2)
    file = looked_at(ada, gif_with_script(), "photo.gif")
    sent = ada.post("/messages", {"chat_id": ada.direct_chat(bob), "file_id": file["id"]})
    answer = served(bob, bob.get(f"/messages/{sent['id']}")["file"])
    assert answer.headers["Content-Type"] == "image/gif"
    assert b"<script>" not in answer.content


def test_a_video_and_a_voice_on_their_whole_way(persons: Making, tmp_path: Path) -> None:
    (ada,) = persons(1)
    film = looked_at(ada, video(tmp_path / "film.mp4").read_bytes(), "film.mp4")
    assert (film["kind"], film["status"]) == ("video", "ready")
    assert film["duration_seconds"] > 0
    assert film["thumbnails"]
    voice = looked_at(ada, sound(tmp_path / "voice.ogg", "ogg", "libopus").read_bytes(), "voice.ogg")
    assert (voice["kind"], len(voice["waveform"])) == ("audio", 100)
