"""The HTTP door of contacts and blocks."""

from __future__ import annotations

from flask import Blueprint

from app.contacts import service
from app.contacts.schemas import BlockQuery, ContactQuery, User
from app.errors import NotFound, ValidationFailed
from app.infra.db import UnitOfWork
from app.web.authentication import Caller
from app.web.endpoint import Answer, operation
from app.web.pagination import ItemPage

blueprint = Blueprint("contacts", __name__)


@blueprint.get("/contacts")
@operation(answers=ItemPage[User])
def list_contacts(query: ContactQuery, caller: Caller, unit: UnitOfWork) -> ItemPage[User]:
    """List your contacts, by name."""
    return service.list_contacts(unit, caller.user_id, query)


@blueprint.post("/users/<int:user_id>/contacts")
@operation(answers=User, status=201, also=(200,), raises=(NotFound, ValidationFailed))
def add_contact(user_id: int, caller: Caller, unit: UnitOfWork) -> Answer:
    """Add a person to your contacts, who may then see your phone number.

    200 where the person was among them.
    """
    user, is_new = service.add_contact(unit, caller.user_id, user_id)
    return Answer(user, 201 if is_new else 200)


@blueprint.delete("/users/<int:user_id>/contacts")
@operation(raises=(NotFound, ValidationFailed))
def remove_contact(user_id: int, caller: Caller, unit: UnitOfWork) -> None:
    """Remove a person from your contacts, if there."""
    service.remove_contact(unit, caller.user_id, user_id)


@blueprint.get("/blocks")
@operation(answers=ItemPage[User])
def list_blocked(query: BlockQuery, caller: Caller, unit: UnitOfWork) -> ItemPage[User]:
    """List whom you have blocked, by name."""
    return service.list_blocked(unit, caller.user_id, query)


@blueprint.post("/users/<int:user_id>/block")
@operation(raises=(NotFound, ValidationFailed))
def block_user(user_id: int, caller: Caller, unit: UnitOfWork) -> None:
    """Block a person, who can then neither message nor add you, nor see when you are there.

    Contacts stay as they are.
    """
    service.block(unit, caller.user_id, user_id)


@blueprint.delete("/users/<int:user_id>/block")
@operation(raises=(NotFound, ValidationFailed))
def unblock_user(user_id: int, caller: Caller, unit: UnitOfWork) -> None:
    """End a block, if there is one."""
    service.unblock(unit, caller.user_id, user_id)
