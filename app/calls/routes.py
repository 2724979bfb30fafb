"""The HTTP door of calls."""

from __future__ import annotations

from flask import Blueprint

from app.calls import service
from app.calls.ice import ice_servers as servers_of
from app.calls.schemas import Call, EndCall, HistoryQuery, IceServers, JoinedCall, NewCall
from app.errors import AnsweredElsewhere, Busy, CallEnded, Conflict, Forbidden, GroupCallsUnavailable, NotFound
from app.infra.db import UnitOfWork
from app.web.authentication import Caller
from app.web.endpoint import operation
from app.web.pagination import ItemPage
from config import settings

blueprint = Blueprint("calls", __name__, url_prefix="/calls")


@blueprint.post("/start")
@operation(
    answers=JoinedCall,
    status=201,
    raises=(Busy, Conflict, Forbidden, GroupCallsUnavailable, NotFound),
    action="calls",
)
def start_call(body: NewCall, caller: Caller) -> JoinedCall:
    """Call a person, or start or join the call of a group.

    Name the person, or a chat of yours. All devices of the person ring, for 45 seconds (`CALL_RING_TIMEOUT`) at most;
    this device is the one that is in the call. Somebody who is in another call is 409 `busy`, and finds yours among the
    missed ones. Group calls need LiveKit, into whose `room` the answer lets you; without it they are 409
    `group_calls_unavailable`.
    """
    return service.start_call(caller, body)


@blueprint.post("/<int:call_id>/answer")
@operation(
    answers=JoinedCall,
    raises=(AnsweredElsewhere, Busy, CallEnded, Conflict, Forbidden, GroupCallsUnavailable, NotFound),
)
def answer_call(call_id: int, caller: Caller) -> JoinedCall:
    """Answer a call that rings, or join that of a group.

    The first device wins, and is the one that is in the call; the others get 409 `answered_elsewhere`. The same device
    may repeat it.
    """
    return service.answer_call(caller, call_id)


@blueprint.post("/<int:call_id>/end")
@operation(answers=Call, raises=(AnsweredElsewhere, NotFound))
def end_call(call_id: int, body: EndCall, caller: Caller, unit: UnitOfWork) -> Call:
    """Cancel, decline or hang up a call, or leave that of a group.

    What it is follows from the state of the call, and from `reason` only whether a device that does not answer is
    `busy`. A call that is over stays as it ended. A device that does not have the call ends it only with the reason
    `hangup`: declining must not end what another one has just answered.
    """
    return service.end_call(unit, caller, call_id, body.reason)


@blueprint.get("/history")
@operation(answers=ItemPage[Call])
def call_history(query: HistoryQuery, caller: Caller, unit: UnitOfWork) -> ItemPage[Call]:
    """List your calls, the latest first; with `missed=true` those that rang and that nobody answered."""
    return service.list_calls(unit, caller.user_id, query)


@blueprint.get("/<int:call_id>")
@operation(answers=Call, raises=(NotFound,))
def get_call(call_id: int, caller: Caller, unit: UnitOfWork) -> Call:
    """Get one of your calls, or that of a group of yours."""
    return service.get_call(unit, caller.user_id, call_id)


@blueprint.get("/ice-servers")
@operation(answers=IceServers)
def ice_servers(caller: Caller) -> IceServers:
    """Get STUN servers, and TURN servers with credentials that are yours for an hour (`TURN_EXPIRY`)."""
    return {"ice_servers": servers_of(caller.user_id), "expires_in": settings().turn_expiry}
