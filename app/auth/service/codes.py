"""One-time codes: six digits, stored as a keyed hash, good for a few minutes, few tries and one use."""

from __future__ import annotations

import hmac
import secrets

from app.auth.queries import codes
from app.auth.schemas import CodeSent, Purpose
from app.auth.service import limits
from app.errors import RateLimited
from app.infra import sms
from app.infra.db import UnitOfWork
from app.infra.keys import derived_key
from config import settings


def issue(unit: UnitOfWork, phone: str, purpose: Purpose, address: str | None) -> str:
    """A new code in place of the last one; raises RateLimited, and then nothing changes.

    It is issued whether or not anybody will be sent it, so that the limits tell nothing of the number.
    """
    current = settings()
    code = f"{secrets.randbelow(1_000_000):06d}"
    pause = current.code_resend_after
    if not codes.put(unit, phone, purpose, _hashed(phone, purpose, code), current.code_expiry, pause):
        raise RateLimited(retry_after=codes.seconds_to_wait(unit, phone, purpose, pause))
    limits.count_code(unit, phone, address)
    return code


def spend(unit: UnitOfWork, phone: str, purpose: Purpose, code: str) -> bool:
    """Whether the code is right; a wrong one costs a try, which the caller must let commit, a right one is used up."""
    expected = codes.use_try(unit, phone, purpose, settings().code_tries)
    if expected is None or not hmac.compare_digest(expected, _hashed(phone, purpose, code)):
        return False
    codes.drop(unit, phone, purpose)
    return True


def send(unit: UnitOfWork, phone: str, code: str) -> None:
    """Sends the code once the unit has committed."""
    unit.after_commit(lambda: sms.deliver(phone, f"{code} is your Paperplane code"))


def announced(phone: str) -> CodeSent:
    """What everybody who asks for a code is told."""
    current = settings()
    return {"phone": phone, "expires_in": current.code_expiry, "resend_after": current.code_resend_after}


def _hashed(phone: str, purpose: Purpose, code: str) -> bytes:
    return hmac.digest(derived_key("one-time codes"), f"{purpose}:{phone}:{code}".encode(), "sha256")
