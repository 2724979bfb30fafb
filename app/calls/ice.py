"""STUN and TURN servers for clients.

The credentials are those of coturn's `use-auth-secret` (a draft of the IETF, "A REST API For Access To TURN Services"):
the name says until when and for whom it is good, and the password is an HMAC of it under a secret that coturn shares.
Nothing is stored, and nobody has to be told.
"""

from __future__ import annotations

import base64
import hmac
import time

from app.calls.schemas import IceServer
from config import settings


def ice_servers(user_id: int) -> list[IceServer]:
    """The servers of the settings, with credentials of this user that are good for TURN_EXPIRY seconds."""
    current = settings()
    servers: list[IceServer] = []
    if current.stun_urls:
        servers.append({"urls": current.stun_urls})
    if current.turn_urls and current.turn_secret:
        username = f"{int(time.time()) + current.turn_expiry}:{user_id}"
        digest = hmac.digest(current.turn_secret.encode(), username.encode(), "sha1")
        credential = base64.b64encode(digest).decode()
        servers.append({"urls": current.turn_urls, "username": username, "credential": credential})
    return servers
