"""What the two devices of a call say to each other: to these alone, in order, once over each socket, within bounds."""

from __future__ import annotations

import math
from typing import Any

import pytest
from flask import Flask

from app.calls import events, mailbox, service
from app.errors import RateLimited, Unavailable
from app.infra.redis import client, make_client
from app.web.authentication import Caller
from config import settings
from tests.calls.scenes import People, another_device, ring, talk
from tests.faults.hurting import locked
from tests.people import Person, Socket
from tests.processes import Api, eventually

Signal = dict[str, Any]

# No call has this id.
_NO_CALL = 2**52


def say(socket: Socket, call_id: int, **signal: Any) -> str:
    """Says something; `ack`, or the code of the refusal."""
    answer = socket.ask("call_signal", {"call_id": call_id, "signal": signal})
    return "ack" if answer["event"] == "ack" else answer["data"]["code"]


def signal_events(socket: Socket) -> list[dict[str, Any]]:
    """The events of signals that a socket has read, in order."""
    data = [event["data"] for event in socket.events if event["event"] == "call"]
    return [each for each in data if each["action"] == "signal"]


def heard(socket: Socket) -> list[Signal]:
    """All signals that a socket has been told until now."""
    socket.quiet()
    return [each["signal"] for each in signal_events(socket)]


def hear(socket: Socket, count: int) -> list[Signal]:
    """All signals that a socket has been told since it is open, once they are so many."""
    while len(signal_events(socket)) < count:
        socket.read()
    return [each["signal"] for each in signal_events(socket)]


def test_each_hears_the_other_in_order_and_nobody_else_does(app: Flask, people: People) -> None:
    ada, bob = people(2)
    others = [another_device(app, ada), another_device(app, bob)]
    with ada.socket() as hers, bob.socket() as his, others[0].socket() as first, others[1].socket() as second:
        call_id = talk(ada, bob)
        for number in range(20):
            assert say(hers, call_id, number=number) == "ack"
            assert say(his, call_id, number=-number) == "ack"
        assert hear(his, 20) == [{"number": number} for number in range(20)]
        assert hear(hers, 20) == [{"number": -number} for number in range(20)]
        assert heard(hers) == [{"number": -number} for number in range(20)]
        assert heard(first) == heard(second) == []


def test_a_signal_arrives_as_it_was_said_with_the_call_and_a_number_that_grows(people: People) -> None:
    ada, bob = people(2)
    with ada.socket() as hers, bob.socket() as his:
        call_id = talk(ada, bob)
        offer = {"type": "offer", "sdp": "v=0\r\n☎", "more": [1, 2.5, None, {"a": True}]}
        say(hers, call_id, **offer)
        say(hers, call_id, candidate="")
        hear(his, 2)
        first, second = signal_events(his)
        assert (first["signal"], second["signal"]) == (offer, {"candidate": ""})
        assert first["call"] == bob.get(f"/calls/{call_id}")
        assert 0 < first["signal_id"] < second["signal_id"] < 2**53


def test_what_looks_like_a_link_in_a_signal_stays_as_it_was_said(people: People) -> None:
    ada, bob = people(2)
    with ada.socket() as hers, bob.socket() as his:
        call_id = talk(ada, bob)
        said = {"url": "/api/files/3f2b8c1e-6a7d-4e5f-9b0a-1c2d3e4f5a6b"}
        say(hers, call_id, **said)
        assert hear(his, 1) == [said]


def test_what_is_said_while_it_rings_is_heard_by_the_device_that_answers_only(app: Flask, people: People) -> None:
    ada, bob = people(2)
    tablet = another_device(app, bob)
    with ada.socket() as hers, bob.socket() as his, tablet.socket() as other:
        call_id = ring(ada, bob)["id"]
        for number in range(5):
            assert say(hers, call_id, number=number) == "ack"
        assert say(his, call_id, number=0) == "conflict"
        assert heard(his) == heard(other) == []
        tablet.post(f"/calls/{call_id}/answer")
        assert other.next("call")["action"] == "answered"
        say(hers, call_id, number=5)
        assert hear(other, 6) == [{"number": number} for number in range(6)]
        assert heard(his) == []


def test_what_is_said_in_the_moment_of_the_answer_is_heard(people: People, monkeypatch: pytest.MonkeyPatch) -> None:
    ada, bob = people(2)
    put = mailbox.put

    def put_once_answered(call_id: int, user_id: int, content: bytes) -> None:
        bob.post(f"/calls/{call_id}/answer", status=200)
        assert heard(his) == []
        put(call_id, user_id, content)

    with bob.socket() as his:
        call_id = ring(ada, bob)["id"]
        monkeypatch.setattr(mailbox, "put", put_once_answered)
        service.send_signal(Caller(ada.id, ada.session_id, math.inf), call_id, {"number": 1})
        assert hear(his, 1) == [{"number": 1}]


def test_what_was_said_before_a_socket_came_up_is_heard_there_also_at_another_process(
    people: People, second_api: Api
) -> None:
    ada, bob = people(2)
    with ada.socket() as hers:
        call_id = talk(ada, bob)
        for number in range(10):
            say(hers, call_id, number=number)
        with bob.socket(second_api.url) as his:
            say(hers, call_id, number=10)
            assert hear(his, 11) == [{"number": number} for number in range(11)]
            first = next(event["data"] for event in his.events if event["event"] == "call")
            assert first["action"] == "answered"


def test_a_new_socket_of_the_device_hears_again_what_it_may_have_missed(people: People) -> None:
    ada, bob = people(2)
    with ada.socket() as hers:
        call_id = talk(ada, bob)
        with bob.socket() as his:
            say(hers, call_id, number=1)
            before = his.next("call", action="signal")
        with bob.socket() as his:
            assert his.next("call", action="signal") == before
            say(hers, call_id, number=2)
            assert his.next("call", action="signal")["signal_id"] > before["signal_id"]


def test_what_could_not_be_read_is_heard_once_it_can_be_though_nothing_more_is_said(people: People, api: Api) -> None:
    ada, bob = people(2)
    call_id = talk(ada, bob)
    with bob.socket() as his:
        # What it reads when it is greeted is read.
        his.quiet()
        before = api.log.read_text().count("signals_wait")
        with locked("LOCK TABLE calls IN ACCESS EXCLUSIVE MODE"):
            mailbox.put(call_id, bob.id, b'{"number":1}')
            for _ in range(2):
                events.signals_wait(bob.id, call_id, bob.session_id)
            eventually(lambda: api.log.read_text().count("signals_wait") >= before + 2)
        assert hear(his, 1) == [{"number": 1}]
        assert heard(his) == [{"number": 1}]


def test_only_the_devices_in_the_call_speak(app: Flask, people: People) -> None:
    ada, bob, eve = people(3)
    with another_device(app, ada).socket() as hers, another_device(app, bob).socket() as his, eve.socket() as strange:
        call_id = talk(ada, bob)
        assert say(hers, call_id, number=1) == "forbidden"
        assert say(his, call_id, number=1) == "answered_elsewhere"
        assert say(strange, call_id, number=1) == "not_found"
        assert say(strange, 2**53 - 1, number=1) == "not_found"
    with bob.socket() as his:
        bob.post(f"/calls/{call_id}/end")
        assert say(his, call_id, number=1) == "call_ended"


def test_nothing_of_a_call_that_is_over_is_heard_any_more(people: People) -> None:
    ada, bob = people(2)
    with ada.socket() as hers:
        call_id = ring(ada, bob)["id"]
        say(hers, call_id, number=1)
        ada.post(f"/calls/{call_id}/end")
    with bob.socket() as his:
        assert heard(his) == []


def test_a_signal_has_at_most_16_kib(people: People) -> None:
    ada, bob = people(2)
    with ada.socket() as hers, bob.socket() as his:
        call_id = talk(ada, bob)
        assert settings().call_signal_max_size == 16_384
        frame_around = len('{"sdp":""}')
        assert say(hers, call_id, sdp="x" * (16_384 - frame_around)) == "ack"
        assert len(hear(his, 1)[0]["sdp"]) == 16_384 - frame_around
        assert say(hers, call_id, sdp="x" * (16_384 - frame_around + 1)) == "validation_failed"
        assert heard(his)[1:] == []


def test_no_more_signals_wait_than_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings(), "call_signals_waiting", 3)
    for number in range(3):
        mailbox.put(_NO_CALL, 2, b"%d" % number)
    with pytest.raises(RateLimited):
        mailbox.put(_NO_CALL, 2, b"3")
    signals = mailbox.waiting(_NO_CALL, 2, 0)
    assert [signal.content for signal in signals] == [b"0", b"1", b"2"]
    assert mailbox.waiting(_NO_CALL, 2, signals[1].id) == signals[2:]
    assert mailbox.waiting(_NO_CALL, 2, signals[2].id) == []


def test_no_more_bytes_of_signals_wait_than_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings().call_signals_size == 262_144
    monkeypatch.setattr(settings(), "call_signals_size", 100)
    mailbox.put(_NO_CALL, 10, b"x" * 40)
    mailbox.put(_NO_CALL, 10, b"x" * 60)
    with pytest.raises(RateLimited):
        mailbox.put(_NO_CALL, 10, b"x")
    # What is forgotten makes room, and no more than it had.
    client().xtrim(f"call:{_NO_CALL}:to:10", maxlen=1, approximate=False)
    with pytest.raises(RateLimited):
        mailbox.put(_NO_CALL, 10, b"x" * 41)
    mailbox.put(_NO_CALL, 10, b"x" * 40)
    assert [len(signal.content) for signal in mailbox.waiting(_NO_CALL, 10, 0)] == [60, 40]
    mailbox.put(_NO_CALL, 12, b"x" * 100)


def test_what_was_said_is_removed_with_the_end_of_the_call(people: People) -> None:
    ada, bob = people(2)
    with ada.socket() as hers, bob.socket() as his:
        call_id = talk(ada, bob)
        say(hers, call_id, number=1)
        say(his, call_id, number=2)
        keys = [f"call:{call_id}:to:{person.id}" for person in (ada, bob)]
        assert client().exists(*keys) == 2
        ada.post(f"/calls/{call_id}/end", status=200)
        eventually(lambda: client().exists(*keys) == 0)


def test_signals_are_kept_for_as_long_as_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    key = f"call:{_NO_CALL}:to:4"
    # As if it had been said 61 seconds ago, by the clock of Redis.
    seconds, microseconds = client().time()
    client().xadd(key, {"signal": b"old"}, id=f"{(seconds - 61) * 1000 + microseconds // 1000}-0")
    mailbox.put(_NO_CALL, 4, b"new")
    assert [signal.content for signal in mailbox.waiting(_NO_CALL, 4, 0)] == [b"new"]
    left = client().pttl(key)
    assert isinstance(left, int)
    assert 0 < left <= 60_000


def test_signals_of_one_millisecond_keep_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    with client().pipeline() as pipeline:
        seconds, _ = client().time()
        for number in range(5):
            pipeline.xadd(f"call:{_NO_CALL}:to:6", {"signal": b"%d" % number}, id=f"{seconds * 1000}-{number}")
        pipeline.execute()
    signals = mailbox.waiting(_NO_CALL, 6, 0)
    assert [signal.content for signal in signals] == [b"0", b"1", b"2", b"3", b"4"]
    assert mailbox.waiting(_NO_CALL, 6, signals[2].id) == signals[3:]


def test_without_redis_a_signal_is_refused_and_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    away = make_client("redis://127.0.0.1:1")
    monkeypatch.setattr(mailbox, "client", lambda: away)
    with pytest.raises(Unavailable):
        mailbox.put(_NO_CALL, 8, b"{}")


def test_signals_of_two_sockets_of_one_device_come_to_both(people: People) -> None:
    ada, bob = people(2)
    with ada.socket() as hers, bob.socket() as his, bob.socket() as tab:
        call_id = talk(ada, bob)
        for number in range(3):
            say(hers, call_id, number=number)
        assert hear(his, 3) == hear(tab, 3) == [{"number": number} for number in range(3)]


@pytest.mark.parametrize("speaker", [0, 1])
def test_a_flood_of_signals_keeps_its_order(people: People, speaker: int) -> None:
    pair: list[Person] = people(2)
    with pair[0].socket() as first, pair[1].socket() as second:
        call_id = talk(*pair)
        speaking, hearing = (first, second) if speaker == 0 else (second, first)
        for number in range(150):
            speaking.frame("call_signal", {"call_id": call_id, "signal": {"number": number}})
        assert [signal["number"] for signal in hear(hearing, 150)] == list(range(150))
