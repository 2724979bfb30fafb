"""Two pages in headless Chromium complete a video call over `/ws`, with made-up cameras and microphones.

Not among the tests of `make test`, since no package of Python's ships a browser: `make test-browser` runs it where
Chromium or Chrome is installed.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from tests.calls.scenes import People
from tests.people import Person
from tests.processes import eventually

_PAGE = (Path(__file__).parent / "call.html").read_bytes()
_BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
)
_SECONDS = 60

Report = dict[str, Any]


@contextmanager
def page_server() -> Iterator[tuple[str, list[Report]]]:
    """Serves the page, and gathers what it reports."""
    reports: list[Report] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer(_PAGE)

        def do_POST(self) -> None:
            reports.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self._answer(b"")

        def _answer(self, content: bytes) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://localhost:{server.server_address[1]}", reports
    finally:
        server.shutdown()
        server.server_close()


@contextmanager
def page(address: str, person: Person, folder: Path, **more: object) -> Iterator[None]:
    """A browser of a person's own that shows the page."""
    program = next((found for name in _BROWSERS if (found := shutil.which(name))), None)
    assert program is not None, "Install Chromium or Chrome first (apt install chromium)."
    query = urlencode({"api": person.url, "token": person.access_token, **more})
    command = [program, *_FLAGS, f"--user-data-dir={folder}", f"{address}/?{query}"]
    with (folder.parent / f"{folder.name}.log").open("ab") as log:
        child = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        yield
    finally:
        child.terminate()
        child.wait(20)


def both(reports: list[Report], what: str) -> list[Report]:
    """What both pages reported of something, the caller's first; fails where one of them has failed."""

    def found() -> list[Report]:
        assert not [report for report in reports if report["what"] == "failed"], reports
        return sorted(
            (report for report in reports if report["what"] == what), key=lambda report: not report["isCaller"]
        )

    eventually(lambda: len(found()) == 2, _SECONDS, f"no {what}: {reports}")
    return found()


def test_two_browsers_see_and_hear_each_other_restart_and_hang_up(people: People, tmp_path: Path) -> None:
    ada, bob = people(2)
    with page_server() as (address, reports), page(address, bob, tmp_path / "bob"):
        eventually(lambda: [report["what"] for report in reports] == ["ready"], _SECONDS, f"not ready: {reports}")
        with page(address, ada, tmp_path / "ada", callee=bob.id):
            for report in both(reports, "flowing"):
                assert report["frames"] >= 20
                assert report["samples"] > 0
            both(reports, "restarted")
            call_id = bob.get("/calls/history")["items"][0]["id"]
            bob.post(f"/calls/{call_id}/end", status=200)
            assert [report["reason"] for report in both(reports, "ended")] == ["hangup", "hangup"]
    call = ada.get(f"/calls/{call_id}")
    assert (call["call_type"], call["state"], call["participant_ids"]) == ("video", "ended", [])
