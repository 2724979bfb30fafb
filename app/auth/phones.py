"""Phone numbers, in one spelling: E.164."""

from __future__ import annotations

import re

_WRITTEN = re.compile(r"\+[0-9][0-9 ().\-/]{3,30}")
_NOT_A_NUMBER = "write a phone number with its country code, like +15550001111"


def normalized(number: str) -> str:
    """The number in E.164 (`+15550001111`); raises ValueError for what cannot be a whole number.

    Numbers reserved for fiction pass: only the length is checked against the country, not whether it is assigned.
    """
    import phonenumbers  # Its tables take a while to load, and few processes need them.

    if not _WRITTEN.fullmatch(number):
        raise ValueError(_NOT_A_NUMBER)
    try:
        parsed = phonenumbers.parse(number, None)
    except phonenumbers.NumberParseException:
        raise ValueError(_NOT_A_NUMBER) from None
    if phonenumbers.is_possible_number_with_reason(parsed) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise ValueError(_NOT_A_NUMBER)
    return str(phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164))


def prefix(phone: str) -> str:
    """The number but for its last four digits: what ranges bought for fraud have in common."""
    return phone[:-4]
