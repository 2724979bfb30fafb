"""Somebody whom very many know comes and goes: all who are there are told, a thousand at a time."""

from __future__ import annotations

import json
import math

import pytest
from redis.client import PubSub

from app.infra import bus
from app.infra import presence as leases
from app.infra.redis import client
from app.infra.redis_writer import writer
from app.realtime import presence
from app.web.authentication import Caller
from tests import factories
from tests.scale.explaining import explained_statements

_FOLLOWERS = 2500


@pytest.fixture(scope="module")
def followers(_servers: None) -> tuple[int, list[int]]:
    """Somebody, and the many who have that person as a contact; with the first of them there is a direct chat too."""
    known, *others = factories.make_users(_FOLLOWERS + 1)
    factories.run(
        "INSERT INTO contacts (user_id, contact_id) SELECT unnest(CAST(:others AS bigint[])), :known",
        others=others,
        known=known,
    )
    chat_id = factories.make_chat([known, others[0]], "direct")
    factories.send_messages(chat_id, [known])
    return known, others


def test_all_who_are_there_are_told_once_and_no_statement_reads_more_than_a_thousand_of_them(
    followers: tuple[int, list[int]],
) -> None:
    known, others = followers
    blocked = others[1200]
    factories.run("INSERT INTO blocks (user_id, blocked_id) VALUES (:known, :blocked)", known=known, blocked=blocked)
    there = [others[0], others[999], others[1000], blocked, others[2000], others[-1]]
    for viewer in there:
        leases.renew(viewer, "a connection", 60, "online")
    with client().pubsub() as subscription:
        subscription.psubscribe("user:*:status", "end")
        with explained_statements() as statements:
            presence.connected(Caller(known, "a session", math.inf), "a connection", lambda: True)
        assert writer().flush(20)
        client().publish("end", b"")
        told = viewers_until_the_end(subscription, known)
    assert sorted(told) == sorted(set(there) - {blocked})
    pages = [statement for statement in statements if statement.name.startswith("presence_audiences")]
    assert len(pages) == 3
    for page in pages:
        assert page.rows < 1100, page.scans
    # The row of the person is free between the pages.
    assert len([statement for statement in statements if statement.name.startswith("presence_hold")]) == 3


def viewers_until_the_end(subscription: PubSub, user_id: int) -> list[int]:
    """Who was told of a person's presence, until somebody publishes to `end`; others may come and go meanwhile."""
    told: list[int] = []
    while True:
        message = subscription.get_message(timeout=20)
        assert message is not None
        if message["type"] == "pmessage":
            if message["channel"] == b"end":
                return told
            _, frame = bus.parse(message["data"])
            if json.loads(frame)["data"]["user_id"] == user_id:
                told.append(int(message["channel"].split(b":")[1]))
