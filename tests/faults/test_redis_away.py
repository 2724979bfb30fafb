"""Redis dead, hung or emptied: sends go on, and everything heals when it is back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from flask import Flask

from app.messages import unread
from local.servers import Valkey, embedded_valkey
from tests.faults.hurting import hung_valkey
from tests.people import Person, make_people
from tests.processes import Api, eventually, running_api


@pytest.fixture(scope="module")
def valkey(data_dir: Path) -> Iterator[Valkey]:
    """A Valkey that only these tests use, so that it may be hurt."""
    with embedded_valkey(data_dir / "hurt") as server:
        yield server


@pytest.fixture(scope="module")
def hurt_api(app: Flask, data_dir: Path, valkey: Valkey) -> Iterator[Api]:
    """An API process that uses the Valkey of these tests."""
    with running_api(data_dir, REDIS_URL=valkey.url(), RATE_LIMIT_ENABLED="true") as api:
        yield api


def pair(app: Flask, api: Api) -> tuple[Person, Person, int]:
    ada, bob = make_people(app, 2, api.url)
    return ada, bob, ada.direct_chat(bob)


def test_with_redis_killed_sends_commit_and_its_return_brings_what_was_missed(
    app: Flask, hurt_api: Api, valkey: Valkey
) -> None:
    ada, bob, chat_id = pair(app, hurt_api)
    with bob.socket() as socket:
        ada.send(chat_id, "before")
        assert socket.next("new_message")["text"] == "before"
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGKILL)
        eventually(lambda: not valkey.alive)
        for number in range(5):
            assert ada.send(chat_id, str(number))["seq"] == number + 2
        assert [m["text"] for m in bob.get(f"/chats/{chat_id}/messages", limit=5)["items"]] == list("43210")
        valkey.start()
        assert [socket.next("new_message")["text"] for _ in range(5)] == list("01234")
        ada.send(chat_id, "after")
        assert socket.next("new_message", text="after")
        greetings = [event for event in socket.events if event["event"] == "hello"]
        assert len(greetings) >= 2, "the client was not told to sync"


def test_with_redis_hung_sends_commit_and_nothing_is_lost_when_it_goes_on(
    app: Flask, hurt_api: Api, valkey: Valkey
) -> None:
    ada, bob, chat_id = pair(app, hurt_api)
    with bob.socket() as socket:
        assert valkey.pid is not None
        os.kill(valkey.pid, signal.SIGSTOP)
        try:
            for number in range(5):
                ada.send(chat_id, str(number))
        finally:
            os.kill(valkey.pid, signal.SIGCONT)
        assert [socket.next("new_message")["text"] for _ in range(5)] == list("01234")


def test_with_redis_hung_counts_are_told_all_the_same(app: Flask, hurt_api: Api, valkey: Valkey) -> None:
    ada, bob, chat_id = pair(app, hurt_api)
    with bob.socket() as socket:
        message_id = ada.send(chat_id, "counted, and then deleted")["id"]
        assert socket.next("new_message")["id"] == message_id
        unread.fan_out_all([chat_id])
        with hung_valkey(valkey):
            assert ada.call("DELETE", f"/messages/{message_id}?for=everyone").status_code == 204
        assert socket.next("unread", chat_id=chat_id)["unread_count"] == 0


def test_an_emptied_redis_costs_nothing_that_lasts(app: Flask, hurt_api: Api, valkey: Valkey) -> None:
    ada, bob, chat_id = pair(app, hurt_api)
    with bob.socket() as socket:
        with redis.Redis.from_url(valkey.url()) as client:
            client.flushall()
        ada.send(chat_id, "still here")
        assert socket.next("new_message")["text"] == "still here"


def test_a_socket_opened_while_redis_is_away_gets_what_comes_after(app: Flask, hurt_api: Api, valkey: Valkey) -> None:
    ada, bob, chat_id = pair(app, hurt_api)
    assert valkey.pid is not None
    os.kill(valkey.pid, signal.SIGKILL)
    eventually(lambda: not valkey.alive)
    try:
        with bob.socket() as socket:
            ada.send(chat_id, "in the dark")
            valkey.start()
            assert socket.next("new_message")["text"] == "in the dark"
    finally:
        if not valkey.alive:
            valkey.start()
