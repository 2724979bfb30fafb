"""Each benchmark runs for real, as short as can be: it loses nothing, and its limit and ratios are what they say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.audience import CIRCLE, fill
from bench.stack import running_stack
from tests.bench.runs import short_run


def test_deliver_measures_the_highest_rate_and_then_shares_of_it(tmp_path: Path) -> None:
    report = short_run(
        tmp_path, "bench.deliver", "--seconds", "1", "--warm-up", "0.3", "--clients", "8", "--rate", "50"
    )
    limit, highest, *shares, steady = report["medians"]
    assert highest["ratio"] == pytest.approx(highest["rate"] / limit["rate"])
    assert [row["name"].rpartition(", ")[2] for row in shares] == ["25% of it", "50% of it", "90% of it"]
    assert all(row["rate"] < highest["rate"] for row in shares[:2])
    assert steady["rate"] == pytest.approx(50, rel=0.5)
    # Each message goes to the nine others of a group.
    assert highest["deliveries_rate"] > highest["rate"]
    assert all(0 < row["p50_ms"] <= row["p99_ms"] for row in (highest, *shares, steady))


def test_fanout_reaches_every_socket_and_compares_with_a_plain_server(tmp_path: Path) -> None:
    report = short_run(tmp_path, "bench.fanout", "--sockets", "20", "60", "--messages", "2", "--pause", "0.2")
    rows = report["rows"]
    for name in ("20 sockets", "60 sockets"):
        row = rows[name]
        assert row["ratio"] == pytest.approx(row["plain ms"] / row["all ms"])
        assert 0 < row["first-last ms"] <= row["all ms"] <= row["slowest ms"]
        assert row["PUBLISH ms"] > 0
        assert rows[f"others' pings, {name}"]["max ms"] > 0
        assert rows[f"others' messages, {name}"]["max ms"] > 0


def test_connect_counts_sockets_by_token_and_ticket_and_weighs_idle_ones(tmp_path: Path) -> None:
    report = short_run(tmp_path, "bench.connect", "--storm", "30", "--idle", "60", "--settle", "0.3")
    rows = report["rows"]
    limit = rows["30 at once, plain server (the limit)"]["sockets/s"]
    for name in ("30 at once, access tokens", "30 at once, tickets"):
        assert rows[name]["ratio"] == pytest.approx(rows[name]["sockets/s"] / limit)
    idle = rows["each of 60 idle sockets"]
    assert idle["sockets/s"] > 0
    if Path("/proc").is_dir():
        # One descriptor is the socket itself; pools of connections may grow and shrink beside them.
        assert idle["descriptors"] == pytest.approx(1, abs=0.4)
        assert idle["RSS KB"] > 0


def test_reads_answer_what_is_stored_and_compare_much_with_little(tmp_path: Path) -> None:
    arguments = ["--messages", "10000", "20000", "--seconds", "0.6", "--repeat", "1"]
    rows = short_run(tmp_path, "bench.reads", *arguments)["rows"]
    for kind in ("newest page", "older page", "chats", "sync"):
        small, large = rows[f"{kind}, 10,000 stored"], rows[f"{kind}, 20,000 stored"]
        assert small["ratio"] == pytest.approx(small["requests/s"] / small["pgbench/s"])
        compared = rows[f"{kind}, 20,000 / 10,000"]
        assert compared["requests/s"] == pytest.approx(large["requests/s"] / small["requests/s"])
    assert rows["newest page, kept, 10,000 stored"]["ratio"] > 0


def test_filling_goes_on_with_what_a_kept_folder_holds(tmp_path: Path) -> None:
    with running_stack(1, tmp_path / "kept") as stack:
        begun = fill(stack, [], circles=1, messages=60)
    with running_stack(1, tmp_path / "kept") as stack:
        grown = fill(stack, [], circles=2, messages=60)
        with stack.database() as database, database.cursor() as cursor:
            cursor.execute("SELECT count(*), count(DISTINCT chat_id) FROM messages")
            assert cursor.fetchone() == (2 * CIRCLE * 60, 2 * CIRCLE)
    assert grown["circles"][0]["chats"] == begun["circles"][0]["chats"]
    assert grown["circles"][0]["people"] == begun["circles"][0]["people"]
    assert len(grown["circles"]) == 2


def test_storm_brings_everybody_back_with_what_they_missed(tmp_path: Path) -> None:
    report = short_run(tmp_path, "bench.storm", "--clients", "30", "--repeat", "1", "--pause", "0.3")
    storm, limit = report["rows"]["30 come back, 20 messages behind"], report["rows"]["the limit"]
    assert storm["ratio"] == pytest.approx(limit["seconds"] / storm["seconds"])
    assert 0 < storm["p50 ms"] <= storm["max ms"] <= storm["seconds"] * 1000


def test_soak_measures_each_interval_and_gives_no_verdict_too_soon(tmp_path: Path) -> None:
    arguments = ["--minutes", "0.06", "--interval", "1.2", "--circles", "2", "--rate", "40", "--visits", "4"]
    report = short_run(tmp_path, "bench.soak", *arguments)
    intervals = list(report["rows"].values())
    assert len(intervals) == 3
    assert all(row["sent"] > 0 and row["p99 ms"] > 0 for row in intervals)
    assert any(row["visits"] > 0 for row in intervals)
    assert report["notes"] == ["too short for a verdict: that needs 8 intervals"]


def test_files_are_uploaded_and_looked_at_and_none_is_lost(tmp_path: Path) -> None:
    # One and four uploaders leave more files waiting than FILES_WAITING lets a person have.
    report = short_run(tmp_path, "bench.files", "--files", "11", "--workers", "1")
    rows = report["rows"]
    assert {"1 MB PNG, upload by 4", "12 MP JPEG, 1 workers look at it"} <= rows.keys()
    assert all(value > 0 for row in rows.values() for value in row.values())
