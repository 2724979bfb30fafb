"""`create-user`: an account without a code, and refusals that say why."""

from __future__ import annotations

import io
import secrets

import pytest

from app.commands.__main__ import main
from tests import factories
from tests.unique import new_phone


def create(monkeypatch: pytest.MonkeyPatch, password: str, *arguments: str) -> int:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{password}\n"))
    return main(["create-user", "--password-stdin", *arguments])


def test_an_account_is_made_that_can_be_signed_in_to(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    phone, name = new_phone(), f"user_{secrets.token_hex(6)}"
    given = ("--phone", phone, "--username", name, "--first-name", "Ada")
    assert create(monkeypatch, "a long password", *given) == 0
    assert phone in capsys.readouterr().out
    stored = factories.scalar("SELECT password_hash FROM users WHERE phone = :p", p=phone)
    assert str(stored).startswith("$argon2id$")


def test_an_account_that_is_there_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    phone = new_phone()
    given = ("--phone", phone, "--first-name", "Ada", "--username")
    assert create(monkeypatch, "a long password", *given, f"user_{secrets.token_hex(6)}") == 0
    assert create(monkeypatch, "a long password", *given, f"user_{secrets.token_hex(6)}") == 1
    assert "has an account" in capsys.readouterr().err


def test_bad_input_is_refused_by_field_without_repeating_the_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    given = ("--phone", "12", "--username", "a b", "--first-name", "Ada")
    assert create(monkeypatch, "hunter2", *given) == 1
    told = capsys.readouterr().err
    assert all(f"{field}:" in told for field in ("phone", "username", "password"))
    assert "hunter2" not in told


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert create(monkeypatch, "a long password", "--phone", new_phone()) == 1
    assert "--username" in capsys.readouterr().err


def test_without_a_terminal_it_says_how_to_give_the_password(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    given = ("--phone", new_phone(), "--username", f"user_{secrets.token_hex(6)}", "--first-name", "Ada")
    assert main(["create-user", *given]) == 1
    assert "--password-stdin" in capsys.readouterr().err
