"""The limit of a statement: pgbench executes it, prepared, as fast as PostgreSQL takes it."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from bench.cpu import CpuClock
from bench.stack import Stack
from local.servers import postgres_binaries

# As the application sets them. Planned for each execution anew, because that looks cheaper to the planner, a send costs
# three times as much.
_OPTIONS = {
    "PGOPTIONS": "-c plan_cache_mode=force_generic_plan -c enable_seqscan=off -c enable_mergejoin=off -c jit=off"
}

_RATE = re.compile(r"^tps = ([0-9.]+) ", re.MULTILINE)
_LATENCY = re.compile(r"^latency average = ([0-9.]+) ms", re.MULTILINE)
_FAILED = re.compile(r"^number of failed transactions: ([0-9]+)", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Limit:
    """What the database does by itself."""

    rate: float
    """Transactions a second."""
    mean_ms: float
    """Mean time of one."""
    cpu_us: dict[str, float]
    """Microseconds of CPU for one, by part."""


def preparing(*statements: str) -> str:
    """The beginning of a script whose clients prepare statements once: a variable keeps its value between runs."""
    return (
        "\\if :prepared = 0\n" + "".join(f"{statement};\n" for statement in statements) + "\\set prepared 1\n\\endif\n"
    )


def run(stack: Stack, scripts: Sequence[str], clients: int, seconds: int, then: str | None = None) -> Limit:
    """Runs scripts, at most 128, in random order with so many clients, and `then` once; worker and beat are suspended.

    Raises RuntimeError where it fails.
    """
    files: list[str | Path] = []
    for number, script in enumerate(scripts):
        path = stack.data_dir / f"pgbench-{number}.sql"
        path.write_text(script)
        files += ["--file", path]
    url = make_url(stack.postgres.url())
    command: list[str | Path] = [
        postgres_binaries() / "pgbench", "--no-vacuum", "--protocol", "simple", "--define", "prepared=0",
        "--client", str(clients), "--jobs", "2", "--time", str(seconds), *files,
        "--host", str(url.query["host"]), "--username", str(url.username), str(url.database),
    ]  # fmt: skip
    with stack.without_workers():
        clock = CpuClock({"database": stack.processes()["database"]})
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, cwd=stack.data_dir, env=os.environ | _OPTIONS
        )
        used = clock.seconds()
        if then is not None:
            with stack.database() as connection, connection.cursor() as cursor:
                cursor.execute(then)
    found = [pattern.search(done.stdout) for pattern in (_RATE, _LATENCY, _FAILED)]
    if done.returncode != 0 or not all(found) or float(found[2][1]) > 0:  # type: ignore[index]
        raise RuntimeError(f"pgbench failed:\n{done.stdout}\n{done.stderr[-4000:]}")
    rate, mean = (float(match[1]) for match in found[:2] if match)
    return Limit(rate, mean, {name: used_seconds / (rate * seconds) * 1e6 for name, used_seconds in used.items()})
