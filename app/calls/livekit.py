"""LiveKit, in whose rooms group calls take place: a token lets one person into the room of one call.

A token is a JWT with the grant `video` (https://docs.livekit.io, "Tokens & grants"), signed with the secret that the
LiveKit server shares. LiveKit makes a room when the first one joins, and renews tokens by itself as long as one stays.
Its server API is Twirp (JSON over HTTP) at the same address.
"""

from __future__ import annotations

import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from urllib.parse import urlsplit

import jwt
import orjson

from app.calls.schemas import Room
from app.errors import Unavailable
from config import settings

_REMOVE = "/twirp/livekit.RoomService/RemoveParticipant"
# Seconds.
_TIMEOUT = 3
_OWN_TOKEN = 60
_RENEWED_TOKEN = 600


class LivekitRefused(Exception):
    """LiveKit did not do what it was told; what it says is for the log."""


def is_available() -> bool:
    """Whether the settings name a LiveKit."""
    return settings().livekit_url is not None


def room(call_id: int, user_id: int) -> Room:
    """The room of a group call, and a token with which this person may join it within LIVEKIT_TOKEN_EXPIRY seconds."""
    current = settings()
    assert current.livekit_url is not None
    name = _room_name(call_id)
    grant = {"room": name, "roomJoin": True, "canPublish": True, "canSubscribe": True, "canPublishData": True}
    token = _token(grant, current.livekit_token_expiry, sub=str(user_id))
    return {"url": current.livekit_url, "name": name, "token": token}


def longest_token() -> int:
    """For how many seconds somebody who has left may have a token, ours or one that LiveKit has renewed."""
    return max(settings().livekit_token_expiry, _RENEWED_TOKEN)


def remove_participant(call_id: int, user_id: int) -> None:
    """Takes a person out of the room of a group call; harmless for who is not there.

    Raises Unavailable where LiveKit does not answer, LivekitRefused for every answer that says neither.
    """
    name = _room_name(call_id)
    token = _token({"room": name, "roomAdmin": True}, _OWN_TOKEN)
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    address = urlsplit(settings().livekit_url or "")
    kind = HTTPSConnection if address.scheme in ("https", "wss") else HTTPConnection
    connection = kind(address.hostname or "", address.port, timeout=_TIMEOUT)
    try:
        body = orjson.dumps({"room": name, "identity": str(user_id)})
        connection.request("POST", address.path.rstrip("/") + _REMOVE, body=body, headers=headers)
        response = connection.getresponse()
        answer = response.read()
    except (OSError, HTTPException) as error:
        raise Unavailable from error
    finally:
        connection.close()
    if response.status != 200 and _code(answer) != "not_found":
        raise LivekitRefused(f"status {response.status}: {answer[:200]!r}")


def _code(answer: bytes) -> object:
    """The code of an error of Twirp; None for what is none, as the answer of a proxy."""
    try:
        said = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return None
    return said.get("code") if isinstance(said, dict) else None


def _room_name(call_id: int) -> str:
    return f"call-{call_id}"


def _token(grant: dict[str, object], expiry: int, **claims: str) -> str:
    current, now = settings(), int(time.time())
    named = {"iss": current.livekit_api_key, "nbf": now - 5, "exp": now + expiry, "video": grant, **claims}
    return jwt.encode(named, current.livekit_api_secret or "", algorithm="HS256")
