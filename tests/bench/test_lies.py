"""The load programs notice a server that loses, doubles, swaps or refuses, and are content with one that does not."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter

import pytest

from bench.fanout import arrival_problems
from bench.figures import Table
from bench.load import Plan, run_load
from bench.load_reads import Request, wrong
from bench.program import running
from bench.report import publish
from bench.soak import verdict
from bench.speaker import Speaker
from tests.bench.lying_server import Flaw, lying_server

# Until all has come that comes: a machine that is busy is no defect. What has been lost is waited for in vain.
_PATIENCE = 20.0
_IN_VAIN = 3.0
_TOKENS = ["1-1", "1-2", "1-3"]


def patience(flaw: Flaw) -> float:
    """For how long a load program waits for what is on its way from a server with this flaw."""
    return _PATIENCE if flaw in ("none", "doubles") else _IN_VAIN


def _problems_of_socket_load(flaw: Flaw) -> list[str]:
    with lying_server(flaw) as port:
        plan: Plan = {
            "port": port,
            "writers": [],
            "groups": [(1, _TOKENS)],
            "text": "Hello",
            "clients": 1,
            "rate": 200.0,
            "warm_up_seconds": 0.0,
            "seconds": 0.3,
            "stragglers_seconds": patience(flaw),
            "processes": {},
        }
        return run_load("bench.load_socket", plan)["problems"]


@pytest.mark.parametrize(
    ("flaw", "problems"),
    [
        ("none", []),
        ("loses", ["1 deliveries were lost"]),
        ("doubles", ["1 deliveries were doubled", "1 deliveries were out of order"]),
        ("swaps", ["1 deliveries were out of order"]),
        (
            "keeps an acknowledgement",
            ["2 deliveries were of no message that was sent to the group", "1 messages were never acknowledged"],
        ),
    ],
)
def test_the_load_of_sending_tells_what_the_server_did_to_messages(flaw: Flaw, problems: list[str]) -> None:
    assert _problems_of_socket_load(flaw) == problems


@pytest.mark.parametrize(
    ("flaw", "problems"),
    [
        ("none", []),
        ("loses", ["1 copies of a message did not arrive"]),
        ("doubles", ["1 copies of a message arrived twice"]),
    ],
)
def test_listeners_tell_which_copies_of_a_message_are_missing_or_doubled(flaw: Flaw, problems: list[str]) -> None:
    with lying_server(flaw) as port, running("bench.load_listeners", {"port": port}) as listeners:
        assert listeners.ask("open", tokens=_TOKENS, at_once=2, seconds=_PATIENCE)["problems"] == []
        speaker = Speaker(port, "1-4")
        said = [speaker.say(1, f"Message {number}") for number in range(4)]
        found = [
            listeners.ask("arrivals", message_id=each.message_id, count=len(_TOKENS), seconds=patience(flaw))
            for each in said
        ]
        speaker.close()
    assert [problem for arrived in found for problem in arrival_problems(arrived)] == problems
    assert said[0].sent_at < found[0]["first"] <= found[0]["last"]


def test_a_copy_at_a_socket_that_should_not_have_it_is_told() -> None:
    with lying_server("none") as port, running("bench.load_listeners", {"port": port}) as listeners:
        listeners.ask("open", tokens=_TOKENS, at_once=3, seconds=_PATIENCE)
        speaker = Speaker(port, "1-4")
        said = speaker.say(1, "For two only.")
        listeners.ask("arrivals", message_id=said.message_id, count=3, seconds=_PATIENCE)
        arrived = listeners.ask("arrivals", message_id=said.message_id, count=2, seconds=_PATIENCE)
        speaker.close()
    assert arrival_problems(arrived) == ["1 copies of a message arrived where they should not"]


def test_a_refused_handshake_is_told() -> None:
    with lying_server("refuses") as port, running("bench.load_listeners", {"port": port}) as listeners:
        opened = listeners.ask("open", tokens=_TOKENS, at_once=3, seconds=_PATIENCE)
    assert opened["greeted"] == 2
    assert len(opened["problems"]) == 1
    assert "503 Service Unavailable" in opened["problems"][0]


@pytest.mark.parametrize(
    ("flaw", "problems"),
    [
        ("none", []),
        ("loses", ["1 messages of others were never answered"]),
        ("ignores pings", ["pings of others were never answered"]),
    ],
)
def test_what_others_never_receive_is_told(flaw: Flaw, problems: list[str]) -> None:
    plan = {"port": 0, "chat_id": 1, "tokens": ["1-1", "1-2"]}
    with lying_server(flaw) as port, running("bench.load_others", plan | {"port": port}) as others:
        others.ask("is_greeted")
        found = others.ask("waits", begin=0.0, end=perf_counter() + 0.5, seconds=patience(flaw))
    assert len(found["problems"]) == len(problems)
    assert all(expected in told for expected, told in zip(problems, found["problems"], strict=True))
    assert found["message"]["max ms"] > 0


@pytest.mark.parametrize(
    ("flaw", "problem"),
    [
        ("none", None),
        ("loses", "1 deliveries or acknowledgements were lost"),
        ("keeps an acknowledgement", "1 deliveries or acknowledgements were lost"),
        ("doubles", "1 answers were deliveries that came twice or out of order"),
        # Who sends the next message, and so how many notice, is chance.
        ("swaps", "answers were deliveries that came twice or out of order"),
    ],
)
def test_a_soak_tells_what_the_server_did_to_messages(flaw: Flaw, problem: str | None) -> None:
    circle = {"chat": 1, "steady": _TOKENS, "coming": ["2-1"]}
    with lying_server(flaw) as port:
        plan = {"port": port, "text": "Hello", "rate": 100.0, "visits": 0.01, "circles": [circle]}
        with running("bench.load_soak", plan) as load:
            assert load.ask("run", seconds=0.5)["sent"] > 0
            found = load.ask("finish", seconds=patience(flaw))
    if problem is None:
        assert found == []
    else:
        assert any(told.endswith(problem) for told in found), found


def test_an_answer_with_other_rows_than_are_stored_is_wrong() -> None:
    request: Request = {"path": "/api/chats/1/messages?before=9", "token": "", "rows": "items", "ids": [8, 7]}
    assert wrong(request, 200, b'{"items":[{"id":8},{"id":7}]}') is None
    assert wrong(request, 200, b'{"items":[{"id":8}]}') == "not the rows that /api/chats/1/messages has"
    assert wrong(request, 200, b'{"items":[{"id":7},{"id":8}]}') == "not the rows that /api/chats/1/messages has"
    assert wrong(request, 503, b"busy") == "503 busy"


def _intervals(**last: float) -> list[dict[str, float | None]]:
    flat: dict[str, float | None] = {
        "API MB": 120.0,
        "worker MB": 150.0,
        "Valkey MB": 4.0,
        "API descriptors": 80.0,
        "worker descriptors": 70.0,
        "p50 ms": 5.0,
        "p99 ms": 20.0,
    }
    warming_up: dict[str, float | None] = {**flat, "API MB": 60.0}
    return [warming_up] * 2 + [flat] * 4 + [{**flat, **last}] * 2


def test_a_soak_is_flat_where_the_last_quarter_is_as_the_second() -> None:
    assert verdict(_intervals()) == []
    assert verdict(_intervals(**{"API MB": 121.0})) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [("API MB", 140.0), ("worker MB", 170.0), ("Valkey MB", 8.0), ("API descriptors", 120.0), ("p99 ms", 60.0)],
)
def test_a_soak_tells_what_has_grown(name: str, value: float) -> None:
    (told,) = verdict(_intervals(**{name: value}))
    assert told.startswith(f"{name} grew from ")


def test_a_benchmark_with_a_problem_prints_it_and_ends_with_status_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = {"something": {"p50 ms": 1.5}}
    assert publish([Table("fanout", {}, rows, [])], None) == 0
    assert (
        publish([Table("fanout", {}, rows, []), Table("storm", {}, rows, ["1 was lost"])], tmp_path / "all.json") == 1
    )
    assert "PROBLEM: 1 was lost" in capsys.readouterr().out
    assert '"1 was lost"' in (tmp_path / "all.json").read_text()
