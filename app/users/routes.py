"""The HTTP door of people."""

from __future__ import annotations

from flask import Blueprint

from app.errors import NotFound
from app.infra.db import UnitOfWork
from app.users import service
from app.users.schemas import User, UserQuery
from app.web.authentication import Caller
from app.web.endpoint import operation
from app.web.pagination import ItemPage

blueprint = Blueprint("users", __name__, url_prefix="/users")


@blueprint.get("")
@operation(answers=ItemPage[User], action="searches")
def find_users(query: UserQuery, caller: Caller, unit: UnitOfWork) -> ItemPage[User]:
    """Find people by the beginnings of their names or username, or by their whole phone number.

    Every word must begin a name; case and accents do not count. After `@` only usernames are looked at. Whose username
    it is exactly comes first, then your contacts, then others.
    """
    return service.find_users(unit, caller.user_id, query.q, query.limit, query.cursor)


@blueprint.get("/<int:user_id>")
@operation(answers=User, raises=(NotFound,))
def get_user(user_id: int, caller: Caller, unit: UnitOfWork) -> User:
    """A person's profile."""
    return service.get_user(unit, caller.user_id, user_id)
