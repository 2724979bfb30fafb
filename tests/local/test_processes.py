"""Children and their keeper, from beginning to end of the process that starts them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

_PROJECT = Path(__file__).parents[2]

_ENDS_ITS_CHILD = """
child = Child(["/bin/sleep", "600"], cwd=Path("/"), output=subprocess.DEVNULL)
child.stop(10)
"""
_FORKS_BESIDES = """
child = Child(["/bin/sleep", "600"], cwd=Path("/"), output=subprocess.DEVNULL)
child.stop(10)
ours, theirs = os.pipe()
if not os.fork():
    os.close(theirs)
    os.read(ours, 1)
    os._exit(0)
os.close(ours)
"""
_LOSES_ITS_KEEPER = """
child = Child(["/bin/sleep", "600"], cwd=Path("/"), output=subprocess.DEVNULL)
_keeper._process.kill()
child.stop(10)
second = Child(["/bin/sleep", "600"], cwd=Path("/"), output=subprocess.DEVNULL)
second.stop(10)
"""
_LEAVES_A_CHILD = """
child = Child(["/bin/sleep", "600"], cwd=Path("/"), output=subprocess.DEVNULL)
child.process.returncode = 0  # So that Python is silent about this one.
"""
_IMPORTS = """
import os, subprocess, sys
from pathlib import Path
from local.processes import Child, _keeper
"""


@pytest.mark.parametrize(
    "program",
    [_ENDS_ITS_CHILD, _FORKS_BESIDES, _LOSES_ITS_KEEPER, _LEAVES_A_CHILD],
    ids=["ends its child", "forks besides", "loses its keeper", "leaves a child"],
)
def test_a_process_with_children_ends_without_a_word_of_what_it_left_open(program: str) -> None:
    # In this mode Python tells of every process that nobody waited for and every file that nobody closed.
    command = [sys.executable, "-X", "dev", "-c", _IMPORTS + program]
    done = subprocess.run(command, cwd=_PROJECT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
