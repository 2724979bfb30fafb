"""What no two tests of a run may share: numbers of phones, and ports."""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Iterator
from itertools import count, cycle

# After +1555: numbers from the first on are given by `fresh_block` alone, a hundred blocks; those that tests write out
# begin with a 0.
_BLOCKS_FROM, _NUMBERS_FROM = 9_000_000, 1_000_000
# Shares no factor with the number of numbers, so each comes once; neighbours are far apart.
_STRIDE = 2_345_671
_numbers = count(secrets.randbelow(_BLOCKS_FROM - _NUMBERS_FROM))
_blocks = count()

# Below those that systems choose for connections, and for who asks for any port. Each process of pytest-xdist has its
# own: what was free when it was chosen is then not taken by another one until it is used.
_FIRST_PORT, _PORTS_EACH, _PROCESSES = 12_000, 2_500, 8
_process = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % _PROCESSES
_own_ports = range(_FIRST_PORT + _process * _PORTS_EACH, _FIRST_PORT + (_process + 1) * _PORTS_EACH)
_begin = secrets.randbelow(_PORTS_EACH)
_ports: Iterator[int] = cycle([*_own_ports[_begin:], *_own_ports[:_begin]])


def new_phone() -> str:
    """A number that no other test of this process has; reserved for fiction."""
    number = next(_numbers) * _STRIDE % (_BLOCKS_FROM - _NUMBERS_FROM)
    return f"+1555{_NUMBERS_FROM + number}"


def fresh_block() -> str:
    """The beginning of 10,000 numbers of which no other test has any: all but the last four digits."""
    return f"+1555{_BLOCKS_FROM // 10_000 + next(_blocks)}"


def free_port() -> int:
    """A port of this machine that nobody listens on now, and that no other test chooses soon."""
    for port in _ports:
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("there are always further ports")
