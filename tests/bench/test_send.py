"""The send benchmark works, and notices what it must notice."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, cast

import pytest

from bench import deliveries, people, stored
from bench.deliveries import Member
from bench.frames import ClientSocket
from bench.report import Report, Row

_ROOT = Path(__file__).parents[2]
_NO_SOCKET = cast("ClientSocket", None)


def _group(received: dict[int, list[int]]) -> list[Member]:
    """Three members; the first has sent messages 10, 20 and 30 with seqs 1, 2 and 3."""
    members = [Member(0, 1, _NO_SOCKET) for _ in range(3)]
    members[0].sent = [10, 20, 30]
    for member, ids in zip(members[1:], received.values(), strict=True):
        member.received = ids
        member.received_seqs = [number // 10 for number in ids]
    return members


@pytest.fixture(scope="module")
def short_run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The JSON of a run as short as can be."""
    path = tmp_path_factory.mktemp("bench") / "send.json"
    arguments = ["--seconds", "1", "--warm-up", "0.2", "--clients", "4", "--repeat", "1", "--json", str(path)]
    done = subprocess.run(
        [sys.executable, "-m", "bench.send", *arguments], cwd=_ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = json.loads(path.read_text())
    assert isinstance(report, dict)
    return report


def test_a_run_loses_nothing_and_doubles_nothing(short_run: dict[str, Any]) -> None:
    assert short_run["problems"] == []


def test_a_run_measures_the_limit_rest_and_sockets(short_run: dict[str, Any]) -> None:
    limit, rest, fastest = short_run["medians"]
    assert limit["rate"] > 0
    assert rest["ratio"] == pytest.approx(rest["rate"] / limit["rate"])
    assert fastest["ratio"] == pytest.approx(fastest["rate"] / limit["rate"])
    assert fastest["deliveries_rate"] > fastest["rate"]


def test_a_run_tells_the_cpu_time_of_each_part(short_run: dict[str, Any]) -> None:
    used = short_run["medians"][1]["cpu_us"]
    # Systems without /proc do not tell.
    parts = {"api", "database", "valkey", "worker", "beat", "load"} if Path("/proc").is_dir() else set()
    assert used.keys() == parts
    assert all(used[part] > 0 for part in parts & {"api"})


def test_deliveries_that_all_arrived_in_order_are_no_problem() -> None:
    assert deliveries.problems_of(_group({1: [10, 20, 30], 2: [10, 20, 30]})) == []


@pytest.mark.parametrize(
    ("received", "problem"),
    [
        ([10, 30], "1 deliveries were lost"),
        ([10, 20, 30, 30], "1 deliveries were doubled"),
        ([20, 10, 30], "1 deliveries were out of order"),
        ([10, 20, 30, 40], "1 deliveries were of no message that was sent to the group"),
    ],
)
def test_a_delivery_that_is_lost_doubled_strange_or_late_is_noticed(received: list[int], problem: str) -> None:
    assert problem in deliveries.problems_of(_group({1: [10, 20, 30], 2: received}))


def test_a_message_that_comes_back_to_the_socket_that_sent_it_is_noted_and_no_problem() -> None:
    members = _group({1: [10, 20, 30], 2: [10, 20, 30]})
    assert deliveries.notes_of(members) == []
    members[0].echoed = [20]
    assert deliveries.problems_of(members) == []
    assert deliveries.notes_of(members) == ["1 deliveries were to the socket that sent the message"]


@pytest.mark.parametrize(
    ("received", "is_complete"),
    [([10, 20, 30], True), ([10, 20], False), ([10, 20, 20], False), ([10, 20, 20, 30], True)],
)
def test_all_has_arrived_only_once_each_has_what_the_others_sent(received: list[int], is_complete: bool) -> None:
    assert deliveries.is_complete(_group({1: [10, 20, 30], 2: received})) == is_complete


def test_rows_that_are_what_was_acknowledged_are_no_problem() -> None:
    rows = [(100, 1, 8, "a"), (101, 1, 9, "b"), (102, 2, 1, "c")]
    assert stored.problems_of(rows, {1: 7, 2: 0}, [100, 101, 102]) == []


@pytest.mark.parametrize(
    ("rows", "acknowledged", "problem"),
    [
        ([(100, 1, 8, "a")], [100, 101], "1 messages were acknowledged and are not stored"),
        ([(100, 1, 8, "a"), (101, 1, 9, "b")], [100], "1 messages are stored and were not acknowledged"),
        ([(100, 1, 8, "a")], [100, 100], "1 messages were acknowledged twice"),
        ([(100, 1, 8, "a"), (101, 1, 9, "a")], [100, 101], "1 client_ids are stored more than once"),
        ([(100, 1, 8, "a"), (101, 1, 10, "b")], [100, 101], "1 chats have gaps or doubles in seq"),
        ([(100, 1, 8, "a"), (101, 1, 8, "b")], [100, 101], "1 chats have gaps or doubles in seq"),
    ],
)
def test_a_row_that_is_missing_doubled_or_misplaced_is_noticed(
    rows: list[stored.Stored], acknowledged: list[int], problem: str
) -> None:
    assert problem in stored.problems_of(rows, {1: 7}, acknowledged)


def test_everybody_is_in_chats_and_only_those_online_are_in_the_groups_of_the_sockets() -> None:
    offline = {person for chat in range(1, people.CHATS + 1) for person in people.members(chat)}
    online = [
        person
        for chat in range(people.CHATS + 1, people.CHATS + people.SOCKET_GROUPS + 1)
        for person in people.members(chat)
    ]
    assert offline == set(range(1, people.PEOPLE + 1))
    assert sorted(online) == list(range(people.PEOPLE + 1, people.PEOPLE + people.SOCKET_PEOPLE + 1))


def test_the_medians_are_of_all_rounds_and_problems_are_told() -> None:
    rounds = [[Row("REST", rate, rate / 100, p50_ms=rate)] for rate in (10.0, 30.0, 20.0)]
    report = Report("send", {}, rounds, [100.0], ["1 deliveries were lost"])
    assert report.medians == [Row("REST", 20.0, 0.2, p50_ms=20.0)]
    assert "PROBLEM: 1 deliveries were lost" in report.text()
