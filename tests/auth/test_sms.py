"""Text messages, against real servers of our own in the providers' places."""

from __future__ import annotations

import base64
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from app.infra import sms
from app.infra.sms.provider import SmsFailed
from config import load

TEXT = "123456 is your Paperplane code"


class _Provider(ThreadingHTTPServer):
    """Takes POSTs, keeps them and answers as told."""

    status = 201
    answer = b"{}"

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.received: list[tuple[str, dict[str, str], dict[str, list[str]]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: _Provider

    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.received.append((self.path, dict(self.headers), form))
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.answer)))
        self.send_header("Location", "/elsewhere")
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *arguments: object) -> None:
        """Says nothing."""


@contextmanager
def _serving(status: int = 201, answer: bytes = b"{}") -> Iterator[_Provider]:
    with _Provider() as server:
        server.status, server.answer = status, answer
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def _twilio(url: str) -> sms.SmsProvider:
    return sms.make_provider(
        load(
            sms_provider="twilio",
            twilio_url=url,
            twilio_account_sid="AC1",
            twilio_auth_token="secret token",
            sms_sender="+15550009999",
        )
    )


def test_the_console_appends_the_line_that_people_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = tmp_path / "new" / "sms.log"
    sms.ConsoleSms(log).send("+15550001111", TEXT)
    sms.ConsoleSms(log).send("+15550002222", TEXT)
    lines = [f"SMS to +1555000{last}: {TEXT}" for last in (1111, 2222)]
    assert log.read_text().splitlines() == capsys.readouterr().out.splitlines() == lines
    assert log.stat().st_mode & 0o077 == 0


def test_lines_written_at_the_same_moment_do_not_mix(tmp_path: Path) -> None:
    provider = sms.ConsoleSms(tmp_path / "sms.log")
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda number: provider.send(f"+1555{number:07d}", TEXT), range(200)))
    lines = (tmp_path / "sms.log").read_text().splitlines()
    assert sorted(lines) == [f"SMS to +1555{number:07d}: {TEXT}" for number in range(200)]


def test_twilio_is_sent_a_form_with_the_account_s_credentials() -> None:
    with _serving() as server:
        _twilio(server.url).send("+15550001111", TEXT)
    [(path, headers, form)] = server.received
    assert path == "/2010-04-01/Accounts/AC1/Messages.json"
    assert headers["Authorization"] == "Basic " + base64.b64encode(b"AC1:secret token").decode()
    assert form == {"To": ["+15550001111"], "From": ["+15550009999"], "Body": [TEXT]}


@pytest.mark.parametrize("status", [301, 307, 400, 401, 429, 500])
def test_a_refusal_of_twilio_is_a_failure_and_no_redirect_is_followed(status: int) -> None:
    with _serving(status) as server, pytest.raises(SmsFailed, match=str(status)):
        _twilio(server.url).send("+15550001111", TEXT)
    assert len(server.received) == 1


def test_a_provider_that_is_away_is_a_failure() -> None:
    with pytest.raises(SmsFailed):
        _twilio("http://127.0.0.1:9").send("+15550001111", TEXT)


_PUBLISHED = b"""<PublishResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><PublishResult>
<MessageId>m1</MessageId></PublishResult></PublishResponse>"""
_REFUSED = b"""<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Type>Sender</Type>
<Code>OptedOut</Code><Message>no</Message></Error></ErrorResponse>"""


@pytest.fixture
def aws(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Credentials for the SNS of the tests."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    return monkeypatch


def test_sns_publishes_to_the_number(aws: pytest.MonkeyPatch) -> None:
    with _serving(200, _PUBLISHED) as server:
        aws.setenv("AWS_ENDPOINT_URL_SNS", server.url)
        sms.make_provider(load(sms_provider="sns", sns_region="eu-central-1")).send("+15550001111", TEXT)
    [(_, _, form)] = server.received
    assert (form["Action"], form["PhoneNumber"], form["Message"]) == (["Publish"], ["+15550001111"], [TEXT])


def test_a_refusal_of_sns_is_a_failure(aws: pytest.MonkeyPatch) -> None:
    with _serving(400, _REFUSED) as server:
        aws.setenv("AWS_ENDPOINT_URL_SNS", server.url)
        with pytest.raises(SmsFailed, match="OptedOut"):
            sms.make_provider(load(sms_provider="sns", sns_region="eu-central-1")).send("+15550001111", TEXT)


def test_the_courier_sends_beside_the_caller_and_reports_failures_without_the_code(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with _serving() as server:
        courier = sms.Courier(_twilio(server.url))
        for number in range(20):
            courier.deliver(f"+155500011{number:02d}", TEXT)
        courier.wait_until_idle()
        server.status = 500
        courier.deliver("+15550001111", TEXT)
        courier.wait_until_idle()
        server.status = 201
        courier.deliver("+15550001112", TEXT)
        courier.wait_until_idle()
    assert len(server.received) == 22
    output = "".join(capfd.readouterr())
    assert "sms_failed" in output
    assert "123456" not in output
    assert "+15550001111" not in output


def test_the_courier_survives_a_file_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "blocked").write_text("")
    sms.Courier(sms.ConsoleSms(tmp_path / "blocked" / "sms.log")).deliver("+15550001111", TEXT)


def test_twilio_without_credentials_does_not_start() -> None:
    with pytest.raises(SystemExit, match="TWILIO_ACCOUNT_SID"):
        load(sms_provider="twilio")
