"""The crowds of tests and benchmarks are what the application would have left, and the benchmark of scale works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from app.infra.db import reading, unit_of_work
from app.messages import unread
from bench import crowd
from tests.factories import scalar

_ROOT = Path(__file__).parents[2]


def test_a_crowd_is_what_the_application_would_have_left() -> None:
    with unit_of_work() as unit:
        crowd.begin(unit)
        busy, chats = crowd.add_busy_person(unit, 20, messages_each=5)
        channel, people = crowd.add_large_chat(unit, "channel", 30, messages=5)
    every = [*chats, channel]
    with reading() as unit:
        assert unread.recount(unit, every) == []
    behind = "SELECT count(*) FROM chats WHERE id = ANY (:chats) AND (last_seq <> 5 OR fanned_out_seq <> 5)"
    assert scalar(behind, chats=every) == 0
    disordered = """
        SELECT count(*) FROM (
          SELECT seq, row_number() OVER (PARTITION BY chat_id ORDER BY id) AS place
          FROM messages WHERE chat_id = ANY (:chats)) m WHERE seq <> place"""
    assert scalar(disordered, chats=every) == 0
    orphans = """
        SELECT count(*) FROM chat_members m LEFT JOIN users u ON u.id = m.user_id
        WHERE m.chat_id = ANY (:chats) AND u.id IS NULL"""
    assert scalar(orphans, chats=every) == 0
    assert scalar("SELECT count(*) FROM chat_members WHERE user_id = :u", u=busy) == len(chats)
    counted = "SELECT count(*) FROM chat_members WHERE chat_id = :c AND (role = 'owner') = (user_id = :u)"
    assert scalar(counted, c=channel, u=people[0]) == len(people)


def test_a_run_measures_requests_and_fan_outs_and_finds_every_count_right(tmp_path: Path) -> None:
    path = tmp_path / "scale.json"
    sizes = ["--chats", "60", "--members", "20", "--others", "0", "--repeat", "1"]
    done = subprocess.run(
        [sys.executable, "-m", "bench.scale", *sizes, "--json", str(path)],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = json.loads(path.read_text())
    assert report["problems"] == []
    assert report["rows"].keys() >= {"list, first page", "list, last page", "send to 20 members", "fan-out to 20"}
    assert all(row["ratio"] > 0 for row in report["rows"].values())
