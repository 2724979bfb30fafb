"""`examine`: from an uploaded file to what is known of it and what others see of it."""

from __future__ import annotations

import base64
import re
import shutil
import stat
import tempfile
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.media import sandbox
from app.media.limits import Limits, configured
from app.media.outcome import Copy, Examined, FailedExamination, Failure, Kind, Outcome, Thumbnail

_NAME = re.compile(r"[A-Za-z0-9_-]{1,100}")
_SIDES = {"small": 160, "medium": 480, "large": 1280}
_TYPES = re.compile(
    r"image/(?:jpeg|png|gif|webp|avif|heic)|video/(?:mp4|quicktime|webm)|audio/(?:mp4|webm|ogg|flac|wav|mpeg)"
)
_FILE_TYPES = re.compile(r"application/[a-z0-9.+-]{1,80}|text/plain")
_Side = Annotated[int, Field(ge=1, le=1_000_000)]


class _Checked(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class _Small(_Checked):
    name: Literal["small", "medium", "large"]
    width: Annotated[int, Field(ge=1, le=1280)]
    height: Annotated[int, Field(ge=1, le=1280)]


class _Findings(_Checked):
    """What a child may say; one that was taken over may say anything."""

    kind: Kind
    mime_type: Annotated[str, Field(max_length=100)]
    width: _Side | None = None
    height: _Side | None = None
    duration_seconds: Annotated[float, Field(ge=0)] | None = None
    preview: Annotated[str, Field(max_length=64)] | None = None
    waveform: Annotated[list[Annotated[int, Field(ge=0, le=31)]], Field(min_length=100, max_length=100)] | None = None
    thumbnails: Annotated[list[_Small], Field(max_length=3)] = []
    shared: Annotated[str, Field(max_length=100)] | None = None


class _Unbelievable(Exception):
    """The findings do not fit what there is."""


def examine(path_in: Path, folder_out: Path, name: str, limits: Limits | None = None) -> Outcome:
    """Looks at the file in a child process; what it makes of it lies in `folder_out`, named `NAME-small.webp`,
    `NAME-shared` and so on.

    `name` is the caller's own (letters, digits, - and _), never the sender's. Whatever the file does to the child, this
    gives an outcome and raises nothing; ValueError only for a bad `name`.
    """
    if not _NAME.fullmatch(name):
        raise ValueError("name: letters, digits, - and _ only")
    chosen = limits or configured()
    try:
        folder = Path(tempfile.mkdtemp(prefix=".examined-", dir=folder_out))
    except OSError as error:
        return FailedExamination(Failure.NOT_STARTED, repr(error))
    try:
        ending = sandbox.run(path_in, folder, chosen)
        if not isinstance(ending, sandbox.Report):
            return ending
        return _kept(_checked(ending.found, chosen), folder, folder_out, name)
    except (ValidationError, _Unbelievable) as error:
        return FailedExamination(Failure.GARBLED, str(error)[:500])
    except OSError as error:
        return FailedExamination(Failure.NO_SPACE, repr(error))
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _checked(found: Any, limits: Limits) -> _Findings:
    findings = _Findings.model_validate(found)
    allowed = _FILE_TYPES if findings.kind == "file" else _TYPES
    if not allowed.fullmatch(findings.mime_type) or findings.kind not in {"file", findings.mime_type.split("/")[0]}:
        raise _Unbelievable("a type that is none of ours")
    if findings.shared is not None and not _TYPES.fullmatch(findings.shared):
        raise _Unbelievable("a type of the copy that is none of ours")
    if findings.duration_seconds is not None and findings.duration_seconds > limits.most_seconds:
        raise _Unbelievable("a duration beyond the limit")
    if (findings.width or 1) * (findings.height or 1) > 4 * limits.most_pixels:
        raise _Unbelievable("more pixels than allowed")
    if findings.preview is not None:
        try:
            base64.b64decode(findings.preview, validate=True)
        except ValueError as error:
            raise _Unbelievable("a preview that is no base64") from error
    if len({small.name for small in findings.thumbnails}) != len(findings.thumbnails):
        raise _Unbelievable("two thumbnails of one name")
    return findings


def _kept(findings: _Findings, folder: Path, folder_out: Path, name: str) -> Examined:
    """Moves what the child wrote to where the caller wants it, once all of it has been checked."""
    sizes = [_size_of_webp(folder / f"{small.name}.webp", small) for small in findings.thumbnails]
    shared_size = None if findings.shared is None else _size(folder / "shared")
    thumbnails = tuple(
        Thumbnail(
            name=small.name,
            path=(folder / f"{small.name}.webp").rename(folder_out / f"{name}-{small.name}.webp"),
            width=small.width,
            height=small.height,
            mime_type="image/webp",
            size=size,
        )
        for small, size in zip(findings.thumbnails, sizes, strict=True)
    )
    shared = None
    if findings.shared is not None and shared_size is not None:
        shared = Copy((folder / "shared").rename(folder_out / f"{name}-shared"), findings.shared, shared_size)
    return Examined(
        kind=findings.kind,
        mime_type=findings.mime_type,
        width=findings.width,
        height=findings.height,
        duration_seconds=findings.duration_seconds,
        preview=findings.preview,
        waveform=None if findings.waveform is None else tuple(findings.waveform),
        thumbnails=thumbnails,
        shared=shared,
    )


def _size(path: Path) -> int:
    """The size of a file that is one: neither a link to another nor another name of it."""
    try:
        status = path.lstat()
    except FileNotFoundError as error:
        raise _Unbelievable("a file that was not written") from error
    if not stat.S_ISREG(status.st_mode) or status.st_nlink != 1 or status.st_size == 0:
        raise _Unbelievable("a file that is none")
    return status.st_size


def _size_of_webp(path: Path, small: _Small) -> int:
    size = _size(path)
    with path.open("rb") as file:
        head = file.read(12)
    if head[:4] != b"RIFF" or head[8:] != b"WEBP" or max(small.width, small.height) > _SIDES[small.name]:
        raise _Unbelievable("a thumbnail that is none")
    return size
