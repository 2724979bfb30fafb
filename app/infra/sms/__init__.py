"""Text messages: one protocol, a provider by SMS_PROVIDER, and a courier that keeps slow ones out of requests."""

from __future__ import annotations

from functools import lru_cache

from app.infra.sms.console import ConsoleSms
from app.infra.sms.courier import Courier
from app.infra.sms.provider import SmsProvider
from app.infra.sms.sns import SnsSms
from app.infra.sms.twilio import TwilioSms
from config import Settings, settings

__all__ = ["ConsoleSms", "Courier", "SmsProvider", "SnsSms", "TwilioSms", "deliver", "make_provider"]


def make_provider(current: Settings) -> SmsProvider:
    """The provider that the settings name."""
    if current.sms_provider == "twilio":
        return TwilioSms(
            current.twilio_url, current.twilio_account_sid or "", current.twilio_auth_token or "", current.sms_sender
        )
    if current.sms_provider == "sns":
        return SnsSms(current.sns_region, current.sms_sender)
    return ConsoleSms(current.data_dir / "sms.log")


@lru_cache(maxsize=1)
def _courier() -> Courier:
    return Courier(make_provider(settings()))


def deliver(phone: str, text: str) -> None:
    """Sends a text message, best effort; for `unit.after_commit`. Never fails, and never waits for a network."""
    _courier().deliver(phone, text)
