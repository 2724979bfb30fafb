"""The benchmark of search fills, goes on where it was stopped, and measures."""

from __future__ import annotations

from pathlib import Path

from bench import search_texts
from tests.bench.runs import short_run


def test_texts_are_the_same_at_every_call() -> None:
    assert list(search_texts.texts(0, 200, 1000)) == list(search_texts.texts(0, 200, 1000))
    assert len(set(search_texts.vocabulary())) == search_texts.WORDS


def test_a_run_measures_questions_sizes_and_costs_and_its_data_is_kept(tmp_path: Path) -> None:
    parts = ["--parts", "questions", "sizes", "costs"]
    arguments = ["--messages", "4000", "--rounds", "1", "--data", str(tmp_path / "data"), *parts]
    for _ in range(2):
        rows = short_run(tmp_path, "bench.search", *arguments)["rows"]
        assert rows["a chat: in every 3rd message"]["found"] == 50
        assert rows["300 chats: in every 3rd message"]["found"] == 50
        assert rows["300 chats: nothing"]["found"] == 0
        assert rows["300 chats: Chinese, common"]["found"] > 0
        assert rows["size: ours, by words"]["MiB"] > 0
        assert rows["marking one message"]["per send µs"] > 0


def test_a_run_sends_until_it_is_found_also_what_lost_its_job(tmp_path: Path) -> None:
    rows = short_run(tmp_path, "bench.search", "--messages", "2000", "--rounds", "1", "--parts", "freshness")["rows"]
    assert len(rows) == 4
    assert all(row["longest ms"] for row in rows.values())


def test_a_run_compares_sending_with_indexing_and_without(tmp_path: Path) -> None:
    rows = short_run(tmp_path, "bench.search", "--rounds", "1", "--seconds", "1", "--parts", "sending")["rows"]
    for name in ("unindexed", "indexed", "indexed at once"):
        assert rows[f"sending, {name}"]["msg/s"] > 0
    assert set(rows["sending, indexed at once / unindexed"]) == set(rows["sending, unindexed"])
