"""What the current HTTP request tells of the device that sent it."""

from __future__ import annotations

from flask import request

from app.auth.schemas import Client

_LONGEST_DEVICE = 120


def request_client() -> Client:
    """The device by its User-Agent, and its address; proxies in front are believed as the settings say."""
    return Client(_device(request.user_agent.string), request.remote_addr)


def _device(user_agent: str) -> str:
    readable = "".join(character if character.isprintable() else " " for character in user_agent)
    return " ".join(readable.split())[:_LONGEST_DEVICE].strip() or "Unknown device"
