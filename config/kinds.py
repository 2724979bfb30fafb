"""How settings are written that are more than a number or a word."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import BeforeValidator, Field
from pydantic_settings import NoDecode

_DURATION = re.compile(r"^\s*(\d+)\s*([smhd]?)\s*$")
_SECONDS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _seconds(value: object) -> object:
    """Reads `24h` as 86400; leaves what is not text to pydantic."""
    if not isinstance(value, str):
        return value
    match = _DURATION.match(value)
    if match is None:
        raise ValueError("write a duration as 45s, 1m, 24h, 30d or plain seconds")
    return int(match[1]) * _SECONDS[match[2]]


def _comma_separated(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Seconds = Annotated[int, BeforeValidator(_seconds), Field(ge=1)]
SecondsOrZero = Annotated[int, BeforeValidator(_seconds), Field(ge=0)]
TextList = Annotated[list[str], NoDecode, BeforeValidator(_comma_separated)]
