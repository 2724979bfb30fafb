"""Limits of signing in, counted in PostgreSQL: they hold without Redis, and an attempt that cannot be counted fails.

RATE_LIMIT_ENABLED=false leaves those on a single number or account, the others are off.
"""

from __future__ import annotations

from ipaddress import IPv6Address, ip_address

from app.auth import phones
from app.auth.queries import attempts
from app.errors import RateLimited
from app.infra.db import UnitOfWork
from config import settings

CODE_WINDOW = 3600
LOGIN_WINDOW = 900


def count_code(unit: UnitOfWork, phone: str, address: str | None) -> None:
    """Counts a code about to be sent; raises RateLimited, and then this one is not counted."""
    current = settings()
    buckets = {f"code:phone:{phone}": current.code_limit_per_phone}
    if current.rate_limit_enabled:
        buckets |= {
            f"code:prefix:{phones.prefix(phone)}": current.code_limit_per_prefix,
            f"code:address:{_network(address)}": current.code_limit_per_address,
            "code:all": current.code_limit_total,
        }
    _count(unit, buckets, CODE_WINDOW)


def count_login(unit: UnitOfWork, phone: str, address: str | None) -> None:
    """Counts a sign-in as failed before it is tried, so that no number of guesses at once gets past the limit.

    Raises RateLimited.
    """
    current = settings()
    buckets = {_login_bucket(phone): current.login_limit_per_phone}
    if current.rate_limit_enabled:
        buckets[_address_bucket(address)] = current.login_limit_per_address
    _count(unit, buckets, LOGIN_WINDOW)


def forgive_login(unit: UnitOfWork, phone: str, address: str | None) -> None:
    """Takes back what `count_login` counted, for a sign-in that succeeded."""
    attempts.forgive(unit, _login_bucket(phone), _address_bucket(address))


def unlock_login(unit: UnitOfWork, phone: str) -> None:
    """Lets sign in to a number again whose owner has proven to have it."""
    attempts.forgive(unit, _login_bucket(phone), "")


def count_old_password(unit: UnitOfWork, user_id: int) -> None:
    """Counts a check of a person's old password as failed before it is made; raises RateLimited."""
    _count(unit, {_password_bucket(user_id): settings().login_limit_per_phone}, LOGIN_WINDOW)


def forgive_old_password(unit: UnitOfWork, user_id: int) -> None:
    """Takes back what `count_old_password` counted."""
    attempts.forgive(unit, _password_bucket(user_id), "")


def _count(unit: UnitOfWork, limits: dict[str, int], window: int) -> None:
    counts = attempts.count(unit, limits, window)
    waits = [count.seconds_left for count in counts if count.attempts > limits[count.bucket]]
    if waits:
        raise RateLimited(retry_after=max(1, *waits))


def _login_bucket(phone: str) -> str:
    return f"login:phone:{phone}"


def _address_bucket(address: str | None) -> str:
    return f"login:address:{_network(address)}"


def _password_bucket(user_id: int) -> str:
    return f"password:user:{user_id}"


def _network(address: str | None) -> str:
    """What one customer has: an IPv4 address, or the first 64 bits of an IPv6 one."""
    try:
        parsed = ip_address(address or "")
    except ValueError:
        return "unknown"
    if isinstance(parsed, IPv6Address):
        return str(parsed.ipv4_mapped or IPv6Address(int(parsed) >> 64 << 64))
    return str(parsed)
