"""Marks without anybody who follows them."""

from __future__ import annotations

import pytest

from app.infra import jobs


@pytest.fixture
def no_jobs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every job that this process asks for is lost, so that no worker of another test does what is done here."""
    monkeypatch.setattr(jobs, "mark_for_receipts", lambda _chat_id: None)
