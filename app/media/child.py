"""What looks at one file: a process that `nursery` has forked. It confines itself, does the work and ends.

It writes one JSON object to its pipe: `found`, `refused` or `failed`.
"""

from __future__ import annotations

import errno
import importlib
import json
import os
import traceback
from pathlib import Path
from typing import Any, NoReturn

from app.media.confinement import confine
from app.media.outcome import Failure, Refusal, Refused

_LONGEST_TRACE = 2000


def run(order: dict[str, Any], report: int) -> NoReturn:
    """Never returns: ends the process at once, without tidying up what nobody will use."""
    # Loaded first: afterwards this project's folder cannot be read.
    module, _, name = order["work"].partition(":")
    work = getattr(importlib.import_module(module), name)
    request = order["request"]
    os.chdir(request["folder"])
    confine(**order["confine"], file=Path(request["path"]), folder=Path(request["folder"]))
    _write(report, json.dumps(_done(work, request)).encode())
    os._exit(0)


def _done(work: Any, request: Any) -> dict[str, Any]:
    try:
        return {"found": work(request)}
    except Refused as refused:
        return {"refused": refused.reason, "detail": _trace() if refused.__cause__ else ""}
    except MemoryError:
        return {"refused": Refusal.TOO_COSTLY}
    except OSError as error:
        if error.errno in {errno.EFBIG, errno.ENOMEM}:
            return {"refused": Refusal.TOO_COSTLY}
        is_full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        return {"failed": Failure.NO_SPACE if is_full else Failure.DEFECT, "detail": _trace()}
    except Exception:
        return {"failed": Failure.DEFECT, "detail": _trace()}


def _trace() -> str:
    return traceback.format_exc()[-_LONGEST_TRACE:]


def _write(descriptor: int, report: bytes) -> None:
    while report:
        report = report[os.write(descriptor, report) :]
