"""Going back to a version that knows nothing of what jobs were to do to files."""

from __future__ import annotations

import pytest

from app.infra import migrations
from tests.conventions.test_migrations import empty_database
from tests.factories import make_chat, make_users, run, scalar
from tests.processing.shown import add_shown_files, show_often

_LATER = "SELECT count(*) FROM files WHERE owner_id = :id AND unused_since IS NOT NULL"
_TOLD = "SELECT count(DISTINCT revision) FROM messages WHERE file_id = :id AND message_type = 'image'"


def test_what_jobs_had_still_to_do_is_done_before_its_tables_go(monkeypatch: pytest.MonkeyPatch) -> None:
    with empty_database(monkeypatch, "unfinished"):
        migrations.upgrade()
        ada, bob = make_users(2)
        cleared, other = make_chat([ada, bob]), make_chat([ada, bob])
        add_shown_files(ada, cleared, 3)
        run("INSERT INTO released_histories (chat_id, seq) VALUES (:id, 2)", id=cleared)
        (picture,) = add_shown_files(bob, other, 1)
        show_often(picture, other, bob, 2)
        run("UPDATE files SET kind = 'image' WHERE id = :id", id=str(picture))
        run("INSERT INTO untold_files (file_id, chat_id, message_id) VALUES (:id, 0, 0)", id=str(picture))
        migrations.downgrade("0007")
        assert scalar("SELECT count(*) FROM message_files WHERE chat_id = :id", id=cleared) == 1
        assert (scalar(_LATER, id=ada), scalar(_LATER, id=bob)) == (2, 0)
        assert scalar(_TOLD, id=str(picture)) == 3
        latest = (
            "SELECT max(x.revision) = max(c.revision) FROM messages x JOIN chats c ON c.id = x.chat_id WHERE c.id = :id"
        )
        assert scalar(latest, id=other) is True
