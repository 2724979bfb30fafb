"""Jobs of files in processes that are killed at every step, one after the other.

`python -m tests.processing.dying process|delete`

Each statement, each commit, and each change of the storage is a step. After each kill the sweeps run, as if a day had
passed; then a line of JSON tells what is left.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import event, text

from app.files.service import processing, releasing, sweeping, workplace
from app.infra.db import engine, unit_of_work
from app.infra.logging import configure_logging
from app.infra.migrations import upgrade
from app.infra.storage import storage
from app.infra.storage.s3 import S3Storage
from app.messages import queries, service, shown_files
from config import settings
from tests import factories
from tests.processes import eventually
from tests.processing.files import keys, stored, upload
from tests.processing.pictures import jpeg

_OPEN_TRANSACTIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
      AND xact_start IS NOT NULL"""
_ON_DISK = ("open", "os.rename", "os.mkdir", "os.remove")


class Scene(NamedTuple):
    """A message that shows a file."""

    owner_id: int
    chat_id: int
    message_id: int
    file_id: UUID


class Steps:
    """Counts the steps of this process, and kills it at one of them."""

    def __init__(self, last: int) -> None:
        self._left = last

    def step(self, *_: object, **__: object) -> None:
        """One step more; -9 at the last."""
        self._left -= 1
        if self._left == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(self) -> None:
        """Takes statements, commits, changes of files in the folder and answers of the server for steps."""
        event.listen(engine(), "before_cursor_execute", self.step)
        event.listen(engine(), "commit", self.step)
        kept = storage()
        if isinstance(kept, S3Storage):
            kept._connection.client.meta.events.register_last("after-call.s3", self.step)
            return
        folder = str(settings().uploads)

        def hook(name: str, arguments: tuple[Any, ...]) -> None:
            if name in _ON_DISK and str(arguments[0]).startswith(folder):
                self.step()

        sys.addaudithook(hook)


def make_scene() -> Scene:
    """A photo that was uploaded and sent, and not looked at yet."""
    owner_id, other_id = factories.make_users(2)
    chat_id = factories.make_chat([owner_id, other_id])
    file_id = upload(owner_id, jpeg(640, 480, orientation=6))
    send = queries.Send(chat_id, owner_id, None, None, b"", "text", None, None, file_id=str(file_id))
    (sent,) = queries.send_alone([send])
    assert sent.message_id is not None
    return Scene(owner_id, chat_id, sent.message_id, file_id)


def process(scene: Scene) -> None:
    """The job that looks at a file, and the one that tells of it."""
    processing.process_file(scene.file_id)
    shown_files.tell_of_file(scene.file_id)


def delete(scene: Scene) -> None:
    """The request that deletes the message, and the job that removes the objects of its file."""
    with unit_of_work() as unit:
        service.delete_message(unit, scene.owner_id, scene.message_id, for_everyone=True)
    releasing.remove_objects()


def is_killed(work: Callable[[], None], steps: Steps) -> bool:
    """Whether the work was killed in its process; raises where it failed in another way."""
    child = os.fork()
    if child == 0:
        try:
            engine().dispose(close=False)  # The connections are the parent's.
            steps.watch()
            work()
            os._exit(0)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            os._exit(1)
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        # PostgreSQL notices a moment later; until then its locks are held, and sweeps pass over what is locked.
        eventually(lambda: factories.scalar(_OPEN_TRANSACTIONS) == 0)
        return True
    assert os.waitstatus_to_exitcode(status) == 0
    return False


def sweep(scene: Scene) -> None:
    """All sweeps, a day later."""
    factories.run("UPDATE files SET try_after = now() WHERE id = :id", id=str(scene.file_id))
    factories.run("UPDATE removed_objects SET due_at = now()")
    with unit_of_work() as unit:
        due = unit.execute(
            text("SELECT id FROM files WHERE id = :id AND status = 'processing'"), {"id": str(scene.file_id)}
        )
        waiting = due.scalar_one_or_none() is not None
    if waiting:
        process(scene)
    for row in factories.rows("SELECT file_id FROM untold_files"):
        shown_files.tell_of_file(row["file_id"])
    releasing.sweep_unused()
    releasing.remove_objects()
    workplace.remove_abandoned()
    sweeping.sweep_storage()


def left(scene: Scene) -> dict[str, Any]:
    """What there is: the file's status and objects by the tables, and all that storage holds."""
    known = keys(scene.file_id)
    found = factories.rows("SELECT status FROM files WHERE id = :id", id=str(scene.file_id))
    shown = factories.scalar("SELECT count(*) FROM message_files WHERE file_id = :id", id=str(scene.file_id))
    folder = settings().uploads / "processing"
    return {
        "status": found[0]["status"] if found else None,
        "variants": sorted(known),
        "unknown": len(stored() - set(known.values())),
        "missing": len(set(known.values()) - stored()),
        "shown": shown,
        "type": factories.scalar("SELECT message_type FROM messages WHERE id = :id", id=scene.message_id),
        "untold": factories.scalar("SELECT count(*) FROM untold_files"),
        "noted": factories.scalar("SELECT count(*) FROM removed_objects"),
        "folders": len(list(folder.iterdir())),
    }


def main(job: str) -> None:
    """Kills at the first step, at the second, and so on, until nobody is killed any more."""
    upgrade()
    last, killed = 0, True
    while killed:
        last += 1
        scene = make_scene()
        if job == "delete":
            process(scene)
            assert left(scene)["status"] == "ready"
        killed = is_killed(partial(process if job == "process" else delete, scene), Steps(last))
        sweep(scene)
        told = left(scene)
        if told["shown"]:
            delete(scene)
            told["after"] = left(scene)
        print(json.dumps({"step": last, "killed": killed} | told), flush=True)


if __name__ == "__main__":
    # What is logged goes to standard error; the other one is for what the test reads.
    configure_logging(settings())
    main(sys.argv[1])
