"""What is kept for a time only goes after it, and not before."""

from __future__ import annotations

from uuid import uuid4

import pytest

from app.messages import expiry
from tests import factories


def remember(days: int) -> str:
    client_id = str(uuid4())
    factories.run(
        "INSERT INTO message_dedup VALUES (1, CAST(:c AS uuid), message_id_at(now() - make_interval(days => :d)), '')",
        c=client_id,
        d=days,
    )
    return client_id


def is_remembered(client_id: str) -> bool:
    return bool(
        factories.scalar("SELECT EXISTS (SELECT FROM message_dedup WHERE client_id = CAST(:c AS uuid))", c=client_id)
    )


def test_client_ids_are_forgotten_after_seven_days(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expiry, "_BATCH", 2)
    old = [remember(8) for _ in range(5)]
    young = remember(6)
    # Other tests of this process may have left old ones too.
    assert expiry.forget_client_ids() >= 5
    assert not any(is_remembered(client_id) for client_id in old)
    assert is_remembered(young)
