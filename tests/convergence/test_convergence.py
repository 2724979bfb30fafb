"""Whatever happens in whatever order: every client ends up with what a new device is answered, and with what SQL says.

Six people, each with one device, use groups, channels and direct chats (also Saved Messages) through two API
processes. Steps: sends over REST and sockets, also repeated ones; forwards; edits; deletions for oneself and for
everyone; reads and signs of delivery; chats made; people added, removed, leaving and joining; new names, roles and
owners; pins and mutes; histories cleared and direct chats deleted; sockets opened and dropped; catching up in between;
fan-outs, statuses and sweeps, doubled and shuffled; several people's steps at the same moment. The second test also
kills API processes and cuts the hubs off Redis.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from app.infra import redis
from app.messages import statuses, unread, unread_jobs
from tests.convergence.gathering import Gathering
from tests.convergence.stage import PEOPLE, STEPS, which, who, yes_or_no
from tests.convergence.writing import Writing
from tests.people import connections
from tests.processes import Api

_SEQUENCE = st.one_of([st.tuples(st.just(name), arguments) for name, arguments in sorted(STEPS.items())])
several = st.lists(_SEQUENCE, min_size=2, max_size=6)


class Conversations(Gathering, Writing):
    """People who do things, one after the other and at the same moment."""

    @initialize(connected=st.lists(yes_or_no, min_size=PEOPLE, max_size=PEOPLE))
    def begin(self, connected: list[bool]) -> None:
        """Some are connected; there are a public group and a public channel of three, and a direct chat."""
        for number, is_connected in enumerate(connected):
            if is_connected:
                self.clients[number].connect(self.urls[number % 2])
        self.make(0, [1, 2], "group", is_public=True)
        self.open_direct_chat(0, 1)
        self.make(1, [0, 2], "channel", is_public=True)
        for chat in range(3):
            self.talk([0, 1, 0], chat)

    @rule(person=who, api=st.integers(0, 1))
    def connect_or_drop(self, person: int, api: int) -> None:
        """Opens a socket at one of the processes, or drops the one there is."""
        client = self.client(person)
        if client.socket is None:
            client.connect(self.urls[api])
        else:
            client.disconnect()

    @rule(person=who)
    def catch_up(self, person: int) -> None:
        """Asks for changes, connected or not."""
        self.client(person).sync()

    @rule(chats=st.lists(which, min_size=1, max_size=4), sweeps=yes_or_no)
    def work(self, chats: list[int], sweeps: bool) -> None:
        """Jobs for chats in any order, some of them doubled; the sweeps beside them."""
        for chat in chats:
            chat_id = self.known_chats[chat % len(self.known_chats)]
            unread.fan_out_all([chat_id])
            statuses.update_all([chat_id])
        if sweeps:
            unread_jobs.fan_out_marked()
            unread_jobs.sweep()

    @rule(steps=several, chat=which, is_one_chat=yes_or_no, works=yes_or_no)
    def at_once(self, steps: list[tuple[str, dict[str, Any]]], chat: int, is_one_chat: bool, works: bool) -> None:
        """Steps of different people at the same moment, often in the same chat, and jobs beside them."""
        done_by: list[list[partial[None]]] = [[] for _ in range(PEOPLE)]
        for number, (name, arguments) in enumerate(steps):
            person = number % PEOPLE
            same = {"chat": chat} if is_one_chat and "chat" in arguments else {}
            done_by[person].append(partial(getattr(self, name), **(arguments | same | {"person": person})))
        if works:
            done_by.append([partial(self.work, [chat, chat + 1], sweeps=True)])
        with ThreadPoolExecutor(len(done_by)) as pool:
            for future in [pool.submit(_do_all, steps) for steps in done_by]:
                future.result()
        self.settle()


def _cut_hubs() -> None:
    """Kills the connections of all that subscribe as hubs do; workers listen by patterns, and are left alone."""
    for connection in redis.client().client_list(_type="pubsub"):
        if int(connection["sub"]) and not int(connection["psub"]):
            redis.client().client_kill_filter(_id=connection["id"])


def _do_all(steps: list[partial[None]]) -> None:
    for step in steps:
        step()


class Faults(Conversations):
    """The same with processes that die and connections that break."""

    apis: list[Api]
    folder: Path

    @rule(number=st.integers(0, 1), steps=several)
    def kill_api(self, number: int, steps: list[tuple[str, dict[str, Any]]]) -> None:
        """Kills an API process and starts another; those who were on it use the one that is left meanwhile."""
        dead, left = self.urls[number], self.urls[1 - number]
        # What it had yet to publish would die with it.
        self.settle()
        self.apis[number].kill()
        lost = [client for client in self.clients if client.is_connected_to(dead)]
        for client in lost:
            client.lose_socket()
        for client in self.clients:
            client.person.url = left
        self.urls[:] = [left, left]
        self.at_once(steps, number, is_one_chat=False, works=True)
        self.apis[number] = Api(self.folder).wait_ready()
        self.urls[number] = self.apis[number].url
        for client in self.clients[number::2]:
            client.person.url = self.urls[number]
        for client in lost:
            client.connect(self.urls[number])

    @rule(steps=several)
    def cut_redis(self, steps: list[tuple[str, dict[str, Any]]]) -> None:
        """Breaks all connections by which hubs receive, in the middle of what people do."""
        for client in self.clients:
            client.absorb()
        with ThreadPoolExecutor(1) as pool:
            cutting = pool.submit(_cut_hubs)
            self.at_once(steps, 0, is_one_chat=True, works=False)
            cutting.result()


def play(machine: type[Conversations], examples: int) -> None:
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=25,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_every_client_ends_up_with_what_the_database_says(app: Flask, api: Api, second_api: Api) -> None:
    class Here(Conversations):
        pass

    Here.app, Here.urls = app, [api.url, second_api.url]
    play(Here, 14)


@pytest.fixture
def own_apis(app: Flask, data_dir: Path) -> Iterator[list[Api]]:
    """Two API processes to be killed; those in the list at the end are ended."""
    apis: list[Api] = []
    try:
        apis += [Api(data_dir), Api(data_dir)]
        for process in apis:
            process.wait_ready()
        yield apis
    finally:
        connections().close()
        for process in apis:
            process.kill()


def test_the_same_holds_while_api_processes_die_and_hubs_lose_redis(
    app: Flask, own_apis: list[Api], data_dir: Path
) -> None:
    class Here(Faults):
        pass

    Here.app, Here.urls, Here.apis, Here.folder = app, [api.url for api in own_apis], own_apis, data_dir
    play(Here, 4)
