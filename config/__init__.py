"""Every setting of Paperplane, read once from the environment or from a file named `.env`.

Durations are written `45s`, `1m`, `24h`, `30d` or as plain seconds and become seconds (int); sizes are written `64KB`,
`100MB` (powers of ten) or `64KiB` (powers of two) and become bytes (int). A bad or missing setting stops the start
with a sentence that says which one and why.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from config.model import Settings

__all__ = ["Settings", "load", "settings"]


def load(**overrides: Any) -> Settings:
    """Reads the settings; leaves the process with a readable list of what is wrong, never with a stack trace."""
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [
            f"  {'.'.join(str(part) for part in problem['loc']).upper() or 'settings'}: "
            f"{problem['msg'].removeprefix('Value error, ')}"
            for problem in error.errors(include_url=False, include_input=False, include_context=False)
        ]
        raise SystemExit("Paperplane cannot start, because of its settings:\n" + "\n".join(lines)) from None


@lru_cache(maxsize=1)
def settings() -> Settings:
    """The settings of this process."""
    return load()
