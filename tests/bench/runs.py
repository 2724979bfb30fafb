"""Runs benchmarks as people do, only shorter."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parents[2]


def short_run(folder: Path, module: str, *arguments: str) -> dict[str, Any]:
    """The JSON of a run of `python -m MODULE` that must end well."""
    path = folder / f"{module}.json"
    command = [sys.executable, "-m", module, *arguments, "--json", str(path)]
    done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (report,) = json.loads(path.read_text())
    assert isinstance(report, dict)
    assert report["problems"] == []
    return report
