"""The benchmark of search fills, goes on where it was stopped, and measures."""

from __future__ import annotations

from pathlib import Path

from bench import search_texts
from tests.bench.runs import short_run


def test_texts_are_the_same_at_every_call() -> None:
    assert list(search_texts.texts(0, 200, 1000)) == list(search_texts.texts(0, 200, 1000))
    assert len(set(search_texts.vocabulary())) == search_texts.WORDS


def test_a_run_measures_questions_sizes_and_costs_and_one_on_its_data_how_soon_is_found_what_lost_its_job_too(
    tmp_path: Path,
) -> None:
    arguments = ["--messages", "4000", "--rounds", "1", "--data", str(tmp_path / "data"), "--parts", "questions"]
    first = short_run(tmp_path, "bench.search", *arguments, "sizes", "costs")["rows"]
    second = short_run(tmp_path, "bench.search", *arguments, "freshness")["rows"]
    for rows in (first, second):
        assert rows["a chat: in every 3rd message"]["found"] == 50
        assert rows["300 chats: in every 3rd message"]["found"] == 50
        assert rows["300 chats: nothing"]["found"] == 0
        assert rows["300 chats: Chinese, common"]["found"] > 0
    assert first["size: ours, by words"]["MiB"] > 0
    assert first["marking one message"]["per send µs"] > 0
    soon = [row for name, row in second.items() if name.startswith("found after: ")]
    assert len(soon) == 4
    assert all(row["longest ms"] for row in soon)


def test_a_run_compares_sending_with_indexing_and_without(tmp_path: Path) -> None:
    rows = short_run(tmp_path, "bench.search", "--rounds", "1", "--seconds", "1", "--parts", "sending")["rows"]
    for name in ("unindexed", "indexed", "indexed at once"):
        assert rows[f"sending, {name}"]["msg/s"] > 0
    assert set(rows["sending, indexed at once / unindexed"]) == set(rows["sending, unindexed"])
