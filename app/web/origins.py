"""Which web pages may use the API from a browser; asked by CORS and by the handshake of sockets."""

from __future__ import annotations

import re
from functools import lru_cache

from config import Settings

# On a developer's machine the front end runs on some port of this host.
_LOCAL = re.compile(r"https?://(localhost|127\.0\.0\.1|\[::1\])(:\d{1,5})?\Z", re.IGNORECASE)


def allowed_origins(current: Settings) -> list[str | re.Pattern[str]]:
    """ALLOWED_ORIGINS as given, and outside production every origin on this machine."""
    named: list[str | re.Pattern[str]] = [origin.rstrip("/") for origin in current.allowed_origins]
    return named if current.environment == "production" else [*named, _LOCAL]


def is_allowed_origin(current: Settings, origin: str) -> bool:
    """Whether pages of this origin (the header Origin) may use the API; host names know no capitals."""
    return any(
        candidate in ("*", origin.lower()) if isinstance(candidate, str) else candidate.match(origin) is not None
        for candidate in _lowered(tuple(allowed_origins(current)))
    )


@lru_cache(maxsize=8)
def _lowered(origins: tuple[str | re.Pattern[str], ...]) -> tuple[str | re.Pattern[str], ...]:
    return tuple(origin.lower() if isinstance(origin, str) else origin for origin in origins)
