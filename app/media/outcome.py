"""What an examination comes to: findings, or a refusal of the file, or a failure that is none of the file's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Literal

Kind = Literal["image", "video", "audio", "file"]


class Refusal(StrEnum):
    """Why a file is refused: it would be refused each time."""

    EMPTY = "empty"
    DAMAGED = "damaged"  # Truncated, or not what its first bytes say.
    TOO_LARGE = "too_large"  # More pixels than allowed.
    TOO_LONG = "too_long"  # Plays longer than allowed.
    TOO_COSTLY = "too_costly"  # Needs more processor, memory or disk than allowed.
    PLAYLIST = "playlist"  # Names other files instead of being one.


class Failure(StrEnum):
    """Why an examination failed, though the file may be good: worth another try."""

    TIMED_OUT = "timed_out"
    KILLED = "killed"
    GARBLED = "garbled"  # The child's report cannot be read or does not fit what it wrote.
    NOT_STARTED = "not_started"
    NO_SPACE = "no_space"
    DEFECT = "defect"


class Refused(Exception):
    """Raised by what looks at a file; ends as the outcome of the same name."""

    def __init__(self, reason: Refusal) -> None:
        self.reason = reason
        super().__init__(reason.value)


@dataclass(frozen=True, slots=True)
class Thumbnail:
    """A WebP picture: `name` is small, medium or large; width and height in pixels."""

    name: str
    path: Path
    width: int
    height: int
    mime_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Copy:
    """What others get instead of the original: the same without place, camera and comments."""

    path: Path
    mime_type: str
    size: int


@dataclass(frozen=True, slots=True)
class Examined:
    """A good file. Width and height are in pixels as it is shown, turned upright.

    `preview` is a ThumbHash in base64; `waveform` has 100 peaks from 0 to 31; `shared` is None where the original
    itself may be given to others.
    """

    kind: Kind
    mime_type: str
    width: int | None = None
    height: int | None = None
    duration_seconds: float | None = None
    preview: str | None = None
    waveform: tuple[int, ...] | None = None
    thumbnails: tuple[Thumbnail, ...] = ()
    shared: Copy | None = None


@dataclass(frozen=True, slots=True)
class RefusedFile:
    """A file that is not accepted; `detail` is for the log, never for clients."""

    reason: Refusal
    detail: str = ""


@dataclass(frozen=True, slots=True)
class FailedExamination:
    """Nothing is known of the file; `detail` is for the log, never for clients."""

    reason: Failure
    detail: str = ""


Outcome = Examined | RefusedFile | FailedExamination
