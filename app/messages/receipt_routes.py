"""The HTTP door of receipts."""

from __future__ import annotations

from flask import Blueprint

from app.errors import Forbidden, NotFound, ReceiptsUnavailable
from app.infra.db import UnitOfWork
from app.messages import receipts
from app.messages.receipt_schemas import Receipt, ReceiptQuery
from app.web.authentication import Caller
from app.web.endpoint import operation
from app.web.pagination import ItemPage

blueprint = Blueprint("receipts", __name__)


@blueprint.get("/messages/<int:message_id>/receipts")
@operation(answers=ItemPage[Receipt], raises=(NotFound, Forbidden, ReceiptsUnavailable))
def list_receipts(message_id: int, query: ReceiptQuery, caller: Caller, unit: UnitOfWork) -> ItemPage[Receipt]:
    """List who has read a message.

    The latest first. For its sender and the chat's owner and admins; not in channels, nor in groups of more than 200.
    """
    return receipts.list_receipts(unit, caller.user_id, message_id, query)
