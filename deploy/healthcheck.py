"""Whether the process of this container serves: `python deploy/healthcheck.py api` or `... beat`; exit status 0 or 1.

Needs nothing but Python's own library, so that a check costs little. A worker is asked by Celery's own `inspect ping`.
"""  # noqa: INP001 - a script that stands alone

from __future__ import annotations

import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

_API_SECONDS = 4.0
# beat writes its schedule down every 3 minutes at the latest.
_OLDEST_SCHEDULE = 300.0


def api() -> str:
    """What is wrong with the API of this container; empty where it is ready."""
    url = f"http://127.0.0.1:{os.environ.get('PORT', '8000')}/readyz"
    try:
        with urllib.request.urlopen(url, timeout=_API_SECONDS):
            return ""
    except urllib.error.HTTPError as error:
        return error.read(2000).decode(errors="replace")
    except OSError as error:
        return str(error)


def beat() -> str:
    """What is wrong with beat; empty where it wrote its schedule down lately."""
    # One file or several, by the kind of database that Python brings.
    files = list(Path(os.environ.get("DATA_DIR", "var")).glob("beat-schedule*"))
    if not files:
        return "no schedule was written yet"
    age = time.time() - max(file.stat().st_mtime for file in files)
    return "" if age < _OLDEST_SCHEDULE else f"the schedule was written {age:.0f} s ago"


def main(arguments: list[str]) -> int:
    """The exit status."""
    checks = {"api": api, "beat": beat}
    if len(arguments) != 1 or arguments[0] not in checks:
        print(f"usage: healthcheck.py {' | '.join(checks)}", file=sys.stderr)
        return 2
    problem = checks[arguments[0]]()
    if problem:
        print(problem, file=sys.stderr)
    return 1 if problem else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
