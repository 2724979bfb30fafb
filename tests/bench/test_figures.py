"""Percentiles, tables, descriptors and what processes hold."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from bench.figures import Table, middle, written
from bench.held import Held
from bench.quantiles import quantile, summary

_ROOT = Path(__file__).parents[2]


def test_percentiles_are_values_that_were_measured() -> None:
    values = sorted(float(number) for number in range(1, 101))
    assert quantile(values, 0.5) == 51
    assert quantile(values, 0.99) == 100
    assert quantile(values, 1.0) == 100
    assert quantile([], 0.5) == 0
    assert summary([3.0, 1.0, 2.0]) == {"p50 ms": 2.0, "p99 ms": 3.0, "max ms": 3.0}


def test_the_middle_of_rounds_is_each_columns_median_and_unknown_where_a_round_does_not_tell() -> None:
    rounds: list[dict[str, float | None]] = [{"a": 1.0, "b": 5.0}, {"a": 9.0, "b": None}, {"a": 2.0, "b": 6.0}]
    assert middle(rounds) == {"a": 2.0, "b": None}


def test_numbers_are_written_with_the_digits_that_count() -> None:
    assert [written(number) for number in (1234.5, 99.94, 3.14159, 0.0, None)] == ["1,234", "99.9", "3.14", "0.00", ""]


def test_a_table_has_a_head_wherever_its_columns_change() -> None:
    rows = {"one": {"a": 1.0}, "two": {"a": 2.0}, "three": {"b": 3.0}}
    text = Table("x", {}, rows, ["1 was lost"], ["slow"]).text()
    assert [line.split() for line in text.splitlines()] == [
        ["a"],
        ["one", "1.00"],
        ["two", "2.00"],
        ["b"],
        ["three", "3.00"],
        ["Note:", "slow"],
        ["PROBLEM:", "1", "was", "lost"],
    ]


def test_a_limit_of_descriptors_that_is_too_low_is_said_and_ends_the_program() -> None:
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (500, 500))\n"
        "from bench import descriptors; descriptors.allow(150); descriptors.allow(1000)"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.strip() == (
        "1,000 sockets need 1,300 descriptors in each process, and `ulimit -Hn` allows 500: "
        "raise it, or ask for at most 200 sockets."
    )


def test_a_limit_of_descriptors_is_raised_where_the_system_allows_it() -> None:
    program = (
        "import resource; hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]\n"
        "resource.setrlimit(resource.RLIMIT_NOFILE, (350, hard))\n"
        "from bench import descriptors; descriptors.allow(60); print(resource.getrlimit(resource.RLIMIT_NOFILE)[0])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) == 360


def test_what_a_process_holds_grows_with_its_sockets_and_memory() -> None:
    # A process of its own: the servers and threads of this one open and close descriptors, too.
    program = (
        "import json, os, socket\n"
        "from bench.held import Held\n"
        "before = Held.by([os.getpid()])\n"
        "kept = bytearray(os.urandom(30 << 20)), [socket.socketpair() for _ in range(20)]\n"
        "print(json.dumps([before, Held.by([os.getpid()])]))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=_ROOT, capture_output=True, text=True, check=True)
    before, after = (None if each is None else Held(*each) for each in json.loads(done.stdout))
    if before is None or after is None:
        assert not Path("/proc").is_dir()
        return
    assert after.descriptors - before.descriptors == 40
    assert after.rss_kb - before.rss_kb > 25 << 10
