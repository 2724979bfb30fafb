"""STUN and TURN servers for clients, with credentials by the scheme that coturn shares."""

from __future__ import annotations

import base64
import hashlib
import hmac
from typing import Any

import pytest

from app.calls.ice import ice_servers
from config import Settings, settings
from tests.calls.scenes import People, ring
from tests.factories import scalar


def test_without_servers_in_the_settings_there_are_none(people: People) -> None:
    ada, bob = people(2)
    assert ada.get("/calls/ice-servers") == {"ice_servers": [], "expires_in": 3600}
    call = ring(ada, bob)
    assert (call["ice_servers"], call["room"]) == ([], None)


def test_credentials_name_the_user_and_an_end_in_an_hour_and_are_signed_as_coturn_does(
    people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(settings(), "stun_urls", ["stun:stun.example.org"])
    monkeypatch.setattr(settings(), "turn_urls", ["turn:turn.example.org?transport=udp", "turns:turn.example.org"])
    monkeypatch.setattr(settings(), "turn_secret", "shared")
    before = scalar("SELECT floor(extract(epoch FROM clock_timestamp()))::bigint")
    stun, turn = ice_servers(17)
    assert stun == {"urls": ["stun:stun.example.org"]}
    assert turn["urls"] == ["turn:turn.example.org?transport=udp", "turns:turn.example.org"]
    end, _, user = turn["username"].partition(":")
    assert user == "17"
    assert isinstance(before, int)
    assert 3600 <= int(end) - before <= 3660
    signed = hmac.new(b"shared", turn["username"].encode(), hashlib.sha1).digest()
    assert base64.b64decode(turn["credential"]) == signed


def test_each_user_has_credentials_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "turn_urls", ["turn:turn.example.org"])
    monkeypatch.setattr(settings(), "turn_secret", "shared")
    assert ice_servers(1)[0]["credential"] != ice_servers(2)[0]["credential"]


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"turn_urls": ["turn:turn.example.org"]}, "TURN_SECRET"),
        ({"livekit_url": "wss://livekit.example.org"}, "LIVEKIT_API_KEY"),
        ({"livekit_api_key": "key", "livekit_api_secret": "secret"}, "LIVEKIT_URL"),
    ],
)
def test_half_of_the_settings_stop_the_start(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Settings(**wrong)
