"""API processes that are killed in the midst of each of a call's transitions: each call still ends in one way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import requests
from flask import Flask

from config import settings
from local.servers import Valkey
from tests.calls.rooms import KEY, SECRET
from tests.calls.scenes import notices_of
from tests.factories import scalar
from tests.faults.call_acts import Act, acts_of_groups, acts_of_two
from tests.faults.hurting import hung_valkey, kill_child, locked
from tests.people import Person, Socket, connections, make_people
from tests.processes import Api, eventually, running_api
from tests.waiting import waiting_for

Environment = dict[str, str]
_HOLD = "SELECT 1 FROM chats WHERE id = ANY (CAST(:chats AS bigint[])) FOR UPDATE"
_HOLD_CALLS = "SELECT 1 FROM calls WHERE id = ANY (%s) FOR UPDATE"
_WAITERS = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"


@pytest.fixture
def environment(tmp_path: Path, own_valkey: Valkey) -> Environment:
    """Of processes that nobody else uses, which wait for locks for as long as the test needs."""
    return {
        "DATA_DIR": str(tmp_path),
        "DATABASE_URL": settings().database,
        "REDIS_URL": own_valkey.url(),
        "DB_LOCK_TIMEOUT": "30s",
        "DB_STATEMENT_TIMEOUT": "40s",
        "DB_POOL_SIZE": "20",
        "LIVEKIT_URL": "wss://livekit.example.org",
        "LIVEKIT_API_KEY": KEY,
        "LIVEKIT_API_SECRET": SECRET,
    }


@pytest.fixture
def dying(app: Flask, tmp_path: Path, environment: Environment) -> Iterator[Api]:
    """An API process to be killed."""
    with Api(tmp_path, **environment) as process:
        yield process.wait_ready()
        connections().close()


def lost(act: Callable[[], object]) -> None:
    """Does what nobody answers."""
    with suppress(requests.ConnectionError):
        act()


def history(act: Act) -> list[dict[str, Any]]:
    """The calls of this chat in the history of who acts."""
    return [call for call in act.who.get("/calls/history")["items"] if call["chat_id"] == act.chat_id]


def assert_one_end(person: Person, call_id: int, reason: str) -> None:
    """It ended once, for all who look; and whoever was in it is free."""
    assert person.get(f"/calls/{call_id}")["end_reason"] == reason
    assert notices_of(call_id) == 1
    assert [call["id"] for call in person.get("/calls/history")["items"]].count(call_id) == 1
    left = "SELECT count(*) FROM call_participants WHERE call_id = :id AND left_at IS NULL"
    assert scalar(left, id=call_id) == 0


def assert_came(act: Act, call: dict[str, Any]) -> None:
    """Of what was done stands what should, for both; then the call ends, once."""
    assert (call["end_reason"] or call["state"]) == act.after, act.name
    seen = act.other.get(f"/calls/{call['id']}")
    assert (seen["state"], seen["end_reason"], seen["revision"]) == (
        call["state"],
        call["end_reason"],
        call["revision"],
    )
    if call["state"] != "ended":
        act.who.post(f"/calls/{call['id']}/end", status=200)
    reason = act.other.get(f"/calls/{call['id']}")["end_reason"]
    assert reason == (act.after if call["state"] == "ended" else "cancelled" if act.after == "ringing" else "hangup")
    assert_one_end(act.other, call["id"], reason)


def inside(act: Act) -> list[int]:
    """Who is in the call of a group once this is done."""
    starter, other = (act.who, act.other) if act.name.startswith(("begin", "leave last")) else (act.other, act.who)
    return {"join": [starter.id, other.id], "leave last": []}.get(act.name, [starter.id])


def assert_learned(act: Act, person: Person, socket: Socket, cursor: str) -> None:
    """Of what was done to the call of a group a person learns who is in it, and everybody that it began or ended."""
    socket.next("hello")
    (known,) = history(act)
    call = person.get(f"/calls/{known['id']}")
    assert (call["end_reason"] or call["state"], call["participant_ids"]) == (act.after, inside(act)), act.name
    if person.id in inside(act):
        told = socket.next("call", action="updated")["call"]
        assert (told["participant_ids"], told["revision"]) == (call["participant_ids"], call["revision"])
    said = [message["service"]["action"] for message in person.get("/sync", cursor=cursor)["messages"]]
    assert said == {"begin": ["call_started"], "leave last": ["call_ended"]}.get(act.name, [])


def test_what_an_api_process_was_about_to_do_to_calls_when_it_was_killed_did_not_happen(app: Flask, dying: Api) -> None:
    def folk(count: int) -> list[Person]:
        return make_people(app, count, dying.url)

    acts, of_groups = acts_of_two(folk), acts_of_groups(folk)
    before = {act.name: history(act) for act in [*acts, *of_groups]}
    chats = [act.chat_id for act in [*acts, *of_groups] if act.name != "answer"]
    answered = [act.call_id for act in acts if act.name == "answer"]
    with ThreadPoolExecutor(len(acts) + len(of_groups)) as pool, locked(_HOLD, chats=chats) as holder:
        holder.exec_driver_sql(_HOLD_CALLS, (answered,))
        doing = [pool.submit(lost, act.do) for act in [*acts, *of_groups]]
        eventually(lambda: waiting_for(holder) == len(doing))
        kill_child(dying)
        for each in doing:
            each.result()
    dying.wait_ready()
    eventually(lambda: scalar(_WAITERS) == 0)
    for act in [*acts, *of_groups]:
        # Nothing has changed for anybody: the state, who is in it, the revision.
        assert history(act) == before[act.name], act.name
        said = act.do()
        if act.name in ("busy", "overdue"):
            said = next(call for call in history(act) if call["end_reason"] == act.after)
        if act in of_groups:
            assert (said["end_reason"] or said["state"]) == act.after
            assert said["participant_ids"] == inside(act)
        else:
            assert_came(act, said)


def test_what_was_committed_and_told_nobody_holds_and_all_learn_of_it(
    app: Flask, tmp_path: Path, environment: Environment, own_valkey: Valkey
) -> None:
    patient = environment | {"REDIS_TIMEOUT": "10s"}
    with running_api(tmp_path, **patient) as dying, running_api(tmp_path, **environment) as other:

        def folk(count: int) -> list[Person]:
            return make_people(app, count, dying.url)

        acts, of_groups = acts_of_two(folk), acts_of_groups(folk)
        cursors = {act.name: act.other.caught_up() for act in acts}
        sockets = {act.name: act.other.socket(other.url) for act in acts}
        watching = [
            (act, person, person.socket(other.url), person.caught_up())
            for act in of_groups
            for person in (act.who, act.other)
        ]
        with hung_valkey(own_valkey):
            # This one is on its way already; what comes after it waits for its answer, and dies waiting.
            acts[0].who.send(acts[0].chat_id, "next")
            for act in [*acts, *of_groups]:
                act.do()
            connections().close()
            kill_child(dying)
        for act in [*acts, *of_groups]:
            act.who.url = act.other.url = other.url
        for act in acts:
            # The successor of the dead process has all clients greeted once more, and told how their calls stand.
            sockets[act.name].next("hello")
            call = next(call for call in history(act) if (call["end_reason"] or call["state"]) == act.after)
            if call["state"] != "ended":
                action = "ringing" if act.after == "ringing" else "answered"
                assert sockets[act.name].next("call", action=action)["call"]["revision"] == call["revision"]
            else:
                page = act.other.get("/sync", cursor=cursors[act.name])
                ends = [message["service"] for message in page["messages"] if message["service"]]
                assert [end["end_reason"] for end in ends if end["call_id"] == call["id"]] == [act.after]
            sockets[act.name].socket.shutdown()
            assert_came(act, call)
        for act, person, socket, cursor in watching:
            assert_learned(act, person, socket, cursor)
            socket.socket.shutdown()
        connections().close()
