"""Telling a waiting person what is being done."""

from __future__ import annotations

import sys


def say(text: str) -> None:
    """Prints what is being done, apart from the results."""
    print(f"  {text} ...", file=sys.stderr, flush=True)
