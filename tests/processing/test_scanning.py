"""Files that a clamd looks at before anybody else gets them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app.errors import Unavailable
from app.infra.clamd import ScanFailed, found_virus
from config import settings
from tests import factories
from tests.processing.clamd import VIRUS, Clamd, nobody, running_clamd
from tests.processing.files import process, process_after_pause, row, upload
from tests.processing.pictures import png


@pytest.fixture
def clamd() -> Iterator[Clamd]:
    """The server."""
    with running_clamd() as server:
        yield server


@pytest.fixture
def owner(app: Flask) -> int:
    """Somebody who uploads files."""
    return factories.make_users(1)[0]


@pytest.fixture
def scanned_by(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Sets CLAMD_ADDRESS."""
    return lambda address: monkeypatch.setattr(settings(), "clamd_address", address)


def test_a_clean_file_is_ready_once_all_of_it_was_scanned(
    owner: int, clamd: Clamd, scanned_by: Callable[[str], None]
) -> None:
    scanned_by(clamd.address)
    content = png(2000, 2000)
    assert process(upload(owner, content))["status"] == "ready"
    assert clamd.received == [content]


def test_a_file_with_a_virus_has_failed_and_nothing_is_made_of_it(
    owner: int, clamd: Clamd, scanned_by: Callable[[str], None]
) -> None:
    scanned_by(clamd.address)
    found = process(upload(owner, png() + VIRUS))
    assert (found["status"], found["failure"], found["preview"]) == ("failed", "virus", None)


def test_without_clamd_nothing_passes_and_all_is_tried_again(
    owner: int, clamd: Clamd, scanned_by: Callable[[str], None]
) -> None:
    file_id = upload(owner, png())
    with nobody() as address:
        scanned_by(address)
        for _ in range(5):
            with pytest.raises(Unavailable):
                process(file_id)
            assert (row(file_id)["status"], row(file_id)["attempts"]) == ("processing", 0)
    scanned_by(clamd.address)
    assert process(file_id)["status"] == "ready"


def test_a_file_that_clamd_does_not_take_never_passes(
    owner: int, clamd: Clamd, scanned_by: Callable[[str], None], asked: list[tuple[str, dict[str, Any]]]
) -> None:
    clamd.longest = 100
    scanned_by(clamd.address)
    file_id = upload(owner, png(2000, 2000))
    assert process(file_id)["status"] == "processing"
    assert [process_after_pause(file_id)["status"] for _ in range(2)] == ["processing", "failed"]
    assert row(file_id)["failure"] == "not_processed"
    assert asked == []


def test_what_clamd_says_is_read_whole(clamd: Clamd, tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"Dear diary")
    assert found_virus(tmp_path / "it", clamd.address, 5) is None
    (tmp_path / "it").write_bytes(b"." * 500_000 + VIRUS)
    assert found_virus(tmp_path / "it", clamd.address, 5) == "Test.Virus"
    clamd.longest = 10
    with pytest.raises(ScanFailed, match="size limit exceeded"):
        found_virus(tmp_path / "it", clamd.address, 5)


def test_a_clamd_that_hangs_up_without_an_answer_has_passed_nothing(tmp_path: Path) -> None:
    (tmp_path / "it").write_bytes(b"Dear diary")
    with socket.create_server(("127.0.0.1", 0)) as server:

        def hang_up() -> None:
            server.accept()[0].close()

        thread = threading.Thread(target=hang_up)
        thread.start()
        with pytest.raises(Unavailable):
            found_virus(tmp_path / "it", f"127.0.0.1:{server.getsockname()[1]}", 5)
        thread.join(10)
