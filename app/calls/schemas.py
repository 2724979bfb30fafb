"""What comes in and goes out of calls."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NotRequired

import orjson
from pydantic import AfterValidator, model_validator
from typing_extensions import TypedDict

from app.infra.times import Timestamp
from app.web.input import Body, Id, Page
from config import settings

CallType = Literal["audio", "video"]
CallState = Literal["ringing", "active", "ended"]
EndReason = Literal["hangup", "declined", "cancelled", "missed", "busy", "disconnected"]


class Call(TypedDict):
    """A call, as its viewer sees it; one without a callee is that of a group.

    `status` is missed where it rang for the viewer and nobody answered, whatever the reason. `participant_ids` are
    those who are in it now.
    """

    id: int
    chat_id: int
    caller_id: int
    callee_id: int | None
    call_type: CallType
    state: CallState
    status: Literal["incoming", "outgoing", "missed"]
    end_reason: EndReason | None
    started_at: Timestamp
    answered_at: Timestamp | None
    ended_at: Timestamp | None
    duration_seconds: int | None
    participant_ids: list[int]
    revision: int


class IceServer(TypedDict):
    """A STUN or TURN server, as RTCPeerConnection takes it."""

    urls: list[str]
    username: NotRequired[str]
    credential: NotRequired[str]


class IceServers(TypedDict):
    """The servers through which clients find a way to each other, and for how many seconds these credentials do."""

    ice_servers: list[IceServer]
    expires_in: int


class Room(TypedDict):
    """Where a group call takes place: LiveKit's address, and a token to join there."""

    url: str
    name: str
    token: str


class JoinedCall(Call):
    """A call that the caller of the API is in, and how to connect: by `room` in a group, else by `ice_servers`."""

    ice_servers: list[IceServer]
    room: Room | None


class CallEvent(TypedDict):
    """What happened to a call; with the action `signal` what the other device said.

    `signal_id` grows: a device that opens a new socket is told again what it may have missed, and skips what it had.
    """

    action: Literal["ringing", "answered", "answered_elsewhere", "ended", "signal", "updated"]
    call: Call
    signal: NotRequired[dict[str, Any]]
    signal_id: NotRequired[int]


class NewCall(Body):
    """Whom to call: a person, or the chat with the person, or a group."""

    user_id: Id | None = None
    chat_id: Id | None = None
    call_type: CallType

    @model_validator(mode="after")
    def _one_of_both(self) -> NewCall:
        if (self.user_id is None) == (self.chat_id is None):
            raise ValueError("name either user_id or chat_id")
        return self


class EndCall(Body):
    """Why the call ends, as its device sees it; by default what the state of the call says."""

    reason: Literal["hangup", "declined", "cancelled", "busy"] | None = None


class HistoryQuery(Page):
    """Which of one's calls to list."""

    missed: bool = False


def _small_enough(signal: dict[str, Any]) -> dict[str, Any]:
    largest = int(settings().call_signal_max_size)
    if len(orjson.dumps(signal)) > largest:
        raise ValueError(f"at most {largest} bytes as JSON")
    return signal


class SignalFrame(Body):
    """What one device of a call has to say to the other: a description (SDP), an ICE candidate, anything else."""

    call_id: Id
    signal: Annotated[dict[str, Any], AfterValidator(_small_enough)]
