"""Who has read a message, and who may know."""

from __future__ import annotations

from app.chats.service import tells_receipts
from app.errors import Forbidden, NotFound, ReceiptsUnavailable
from app.infra.db import UnitOfWork
from app.infra.times import rfc3339
from app.messages import receipt_queries
from app.messages.receipt_schemas import Receipt, ReceiptQuery
from app.users.service import present_users
from app.web.pagination import ItemPage, decode_cursor, encode_cursor


def list_receipts(unit: UnitOfWork, viewer_id: int, message_id: int, query: ReceiptQuery) -> ItemPage[Receipt]:
    """A page of who has read a message, the latest first; for its sender, and the chat's owner and admins.

    Raises NotFound, Forbidden, or ReceiptsUnavailable in channels and in groups of more than 200 members.
    """
    after = None
    if query.cursor is not None:
        read_at_us, user_id = decode_cursor(query.cursor, int, int)
        after = (int(read_at_us), int(user_id))
    found = receipt_queries.subject(unit, viewer_id, message_id)
    if found is None:
        raise NotFound("There is no such message in a chat of yours.")
    if not tells_receipts(found.chat_type, found.member_count):
        raise ReceiptsUnavailable
    if found.sender_id != viewer_id and found.role == "member":
        raise Forbidden("Only its sender and the chat's admins see who has read a message.")
    rows = receipt_queries.readers(unit, viewer_id, message_id, after, query.limit + 1)
    page = rows[: query.limit]
    users = present_users([row.profile for row in page])
    return {
        "items": [{"user": user, "read_at": rfc3339(row.read_at)} for user, row in zip(users, page, strict=True)],
        "next_cursor": encode_cursor(page[-1].read_at_us, page[-1].profile.id) if len(rows) > query.limit else None,
    }
