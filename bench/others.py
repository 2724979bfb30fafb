"""How long people wait who have nothing to do with what is measured; their side is load_others.py."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from bench.audience import Audience
from bench.figures import Figures
from bench.load import STRAGGLERS_SECONDS
from bench.program import Program, running
from bench.stack import Stack


class Others:
    """Two people who ping and write all the time; made by `watched`."""

    def __init__(self, program: Program) -> None:
        """`program` runs load_others.py."""
        self._program = program
        self._begun = perf_counter()
        self.rows: dict[str, Figures] = {}
        """How long they waited, by kind and what happened meanwhile."""
        self.problems: list[str] = []
        """What of theirs was never answered."""

    def begin(self) -> None:
        """What is due from now on counts for the next `end`."""
        self._begun = perf_counter()

    def end(self, name: str) -> None:
        """Keeps how long they waited since `begin` under this name."""
        found: dict[str, Any] = self._program.ask(
            "waits", begin=self._begun, end=perf_counter(), seconds=STRAGGLERS_SECONDS
        )
        self.rows[f"others' pings, {name}"] = found["ping"]
        self.rows[f"others' messages, {name}"] = found["message"]
        self.problems += [f"{name}: {problem}" for problem in found["problems"]]


@contextmanager
def watched(stack: Stack, audience: Audience) -> Iterator[Others]:
    """The two friends of the audience on a started stack."""
    plan = {"port": stack.port, "chat_id": audience["friends_chat"], "tokens": audience["friends"]}
    with running("bench.load_others", plan) as program:
        # Commands are taken once both are greeted, which may be a while after the start.
        program.ask("is_greeted")
        yield Others(program)
