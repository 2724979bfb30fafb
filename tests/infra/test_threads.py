"""Long work beside gevent's hub lets all else have its turn."""

from __future__ import annotations

import subprocess
import sys

from app.infra.threads import let_others_run

_UNDER_GEVENT = """
from gevent import monkey

monkey.patch_all()
import gevent

from app.infra.threads import let_others_run

seen = []
gevent.spawn(seen.append, "another request")
seen.append("a long text")
let_others_run()
seen.append("the next one")
print(seen)
"""


def test_others_run_between_two_pieces_of_work() -> None:
    printed = subprocess.run([sys.executable, "-c", _UNDER_GEVENT], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "['a long text', 'another request', 'the next one']"


def test_without_gevent_nothing_happens() -> None:
    let_others_run()
