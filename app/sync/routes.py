"""The HTTP door of catching up."""

from __future__ import annotations

from flask import Blueprint

from app.infra.db import UnitOfWork
from app.sync import service
from app.sync.schemas import Changes, SyncQuery
from app.web.authentication import Caller
from app.web.endpoint import operation

blueprint = Blueprint("sync", __name__)


@blueprint.get("/sync")
@operation(answers=Changes)
def get_changes(query: SyncQuery, caller: Caller, unit: UnitOfWork) -> Changes:
    """Catch up.

    Everything that changed past `cursor`, at most 500 messages and 500 chats a page, oldest first; without a cursor
    the first snapshot: your chats with their last message, and the cursor that goes with it. Rows may come twice: keep
    the higher `revision`.
    """
    return service.changes(unit, caller.user_id, query.cursor)
