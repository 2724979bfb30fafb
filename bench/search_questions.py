"""Asks the questions of the benchmark of search, as the API does and in two plain ways, one after the other.

Run with the number of rounds and the path of a Scene; prints Times by question.
"""

from __future__ import annotations

import gc
import json
import random
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypedDict

import psycopg2
from sqlalchemy import text

from app.infra.db import UnitOfWork, reading, unit_of_work
from app.search import service
from app.search.schemas import MessageSearch
from bench import crowd
from bench.search_fill import Scene
from bench.search_texts import OLD_WORD, chinese_pair, vocabulary

# What is asked in the plain ways too, how often, and for how many seconds at most.
_COMPARED = ("in every 3rd message", "in every 500th", "in every 40,000th", "two common words", "Chinese, rare")
_PLAIN_ROUNDS = 2
_PLAIN_SECONDS = 3


class Times(TypedDict):
    """Milliseconds of each way to ask."""

    ours: list[float]
    plain: list[float]
    """`to_tsvector('simple')` with GIN; of what it cannot find too."""
    like: list[float]
    found: int
    """Messages on the first page of the last round."""


Question = Callable[[random.Random], MessageSearch]

_PLAIN = text("""
    SELECT id FROM plain_search
    WHERE chat_id = ANY (CAST(:chats AS bigint[])) AND tokens @@ CAST(:question AS tsquery)
    ORDER BY id DESC LIMIT 51""")
_LIKE = text("""
    SELECT id FROM messages
    WHERE chat_id = ANY (CAST(:chats AS bigint[])) AND text LIKE :pattern ORDER BY id DESC LIMIT 51""")


def _questions(scene: Scene, chat_id: int | None) -> dict[str, Question]:
    """What is asked, by name; words of about the same commonness take turns."""
    words = vocabulary()

    def asking(q: Callable[[random.Random], str], sender_id: int | None = None) -> Question:
        return lambda choice: MessageSearch(q=q(choice), chat_id=chat_id, sender_id=sender_id)

    def word(rank: int, spread: int) -> Callable[[random.Random], str]:
        return lambda choice: f"{words[rank + choice.randrange(spread)]} !"

    def together(*parts: Callable[[random.Random], str]) -> Callable[[random.Random], str]:
        return lambda choice: " ".join(part(choice).removesuffix(" !") for part in parts)

    return {
        "in every 3rd message": asking(word(0, 3)),
        "in every 20th": asking(word(20, 10)),
        "in every 100th": asking(word(90, 40)),
        "in every 500th": asking(word(450, 200)),
        "in every 5,000th": asking(word(4_500, 1_000)),
        "in every 40,000th": asking(word(36_000, 10_000)),
        "a needle": asking(lambda choice: f"needle{choice.randrange(10)}"),
        "nothing": asking(lambda choice: f"zzz{choice.random()}"),
        "of long ago": asking(lambda _: OLD_WORD),
        "two common words": asking(together(word(20, 20), word(60, 40))),
        "common and rare": asking(together(word(4_500, 1_000), word(0, 5))),
        "a phrase": asking(lambda choice: f'"{together(word(0, 8), word(10, 30))(choice)}"'),
        "1 letter": asking(lambda choice: choice.choice("bdfgk")),
        "3 letters": asking(lambda choice: words[choice.randrange(3_000)][:3]),
        "a word and 1 letter": asking(together(word(4_500, 1_000), lambda choice: choice.choice("bdfgk"))),
        "Chinese, common": asking(lambda choice: chinese_pair(choice.randrange(3))),
        "Chinese, rare": asking(lambda choice: chinese_pair(300 + choice.randrange(600))),
        "of a quiet sender": asking(lambda choice: words[choice.randrange(30)], scene["quiet_sender"]),
    }


def _ours(unit: UnitOfWork, scene: Scene, asked: MessageSearch) -> int:
    return len(service.search_messages(unit, scene["searcher"], asked)["items"])


def _plain(unit: UnitOfWork, scene: Scene, asked: MessageSearch) -> int:
    parts = [part for part in asked.q.replace('"', "").split() if part != "!"]
    ends = ":*" if not asked.q.endswith(("!", '"')) else ""
    question = (" <-> " if '"' in asked.q else " & ").join(f"'{part}'" for part in parts) + ends
    return _count(unit, str(_PLAIN), {"chats": _chats(scene, asked), "question": question})


def _like(unit: UnitOfWork, scene: Scene, asked: MessageSearch) -> int:
    pattern = "%" + asked.q.removesuffix(" !").replace('"', "").replace(" ", "%") + "%"
    return _count(unit, str(_LIKE), {"chats": _chats(scene, asked), "pattern": pattern})


def _chats(scene: Scene, asked: MessageSearch) -> list[int]:
    return scene["chats"] if asked.chat_id is None else [asked.chat_id]


def _count(unit: UnitOfWork, statement: str, parameters: dict[str, object]) -> int:
    """How many rows a statement finds, planned for its parameters as a plain application would have it."""
    unit.execute(text("SET LOCAL plan_cache_mode = auto"))
    unit.execute(text("SET LOCAL enable_seqscan = on"))
    unit.execute(text(f"SET LOCAL statement_timeout = '{_PLAIN_SECONDS}s'"))
    return len(unit.execute(text(statement), parameters).all())


def _timed(ask: Callable[[], int]) -> tuple[float, int]:
    began = time.perf_counter()
    try:
        found = ask()
    except Exception as error:
        if not isinstance(getattr(error.__cause__, "orig", None), psycopg2.errors.QueryCanceled):
            raise
        found = 0
    return (time.perf_counter() - began) * 1e3, found


def _ask(scene: Scene, question: Question, rounds: int, is_compared: bool = False) -> Times:
    times: Times = {"ours": [], "plain": [], "like": [], "found": 0}
    for number in range(rounds):
        asked = question(random.Random(number))
        with reading() as unit:
            taken, times["found"] = _timed(lambda unit=unit, asked=asked: _ours(unit, scene, asked))  # type: ignore[misc]
        times["ours"].append(taken)
    for way, ask in (("plain", _plain), ("like", _like)) if is_compared else ():
        for number in range(min(rounds, _PLAIN_ROUNDS)):
            asked = question(random.Random(number))
            times[way].append(_timed(lambda ask=ask, asked=asked: _alone(ask, scene, asked))[0])  # type: ignore[literal-required, misc]
    return times


def _alone(ask: Callable[[UnitOfWork, Scene, MessageSearch], int], scene: Scene, asked: MessageSearch) -> int:
    with unit_of_work() as unit:
        return ask(unit, scene, asked)


def _all(scene: Scene, rounds: int) -> Iterator[tuple[str, Times]]:
    for place, chat_id in (("a chat", scene["large_chat"]), (f"{len(scene['chats'])} chats", None)):
        for name, question in _questions(scene, chat_id).items():
            _ask(scene, question, 1)
            yield f"{place}: {name}", _ask(scene, question, rounds, name in _COMPARED)


def main(arguments: Sequence[str]) -> None:
    """Asks everything."""
    scene: Scene = json.loads(Path(arguments[1]).read_text())
    with unit_of_work() as unit:
        crowd.begin(unit)
    # As in processes of the API: what is loaded by now is not looked through while somebody waits.
    gc.collect()
    gc.freeze()
    json.dump(dict(_all(scene, int(arguments[0]))), sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
