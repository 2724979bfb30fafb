"""Looking at files that were uploaded: what they are, what others see of them, or why they are not accepted.

What is due is readable from the row, so that nothing is lost whatever dies. Keys are noted as expected before objects
are stored under them, and kept by the transaction that makes them part of the file: what lies between is removed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import structlog

from app.errors import Unavailable
from app.files import events
from app.files.file import present
from app.files.queries import files as file_queries
from app.files.queries import objects as object_queries
from app.files.queries import processing as queries
from app.files.queries.processing import Claim, NewObject
from app.files.service.workplace import Incomplete, fetch, hashed, workplace
from app.infra import jobs
from app.infra.clamd import ScanFailed, found_virus
from app.infra.db import UnitOfWork, unit_of_work
from app.infra.storage import NoSuchObject, new_key, storage
from app.infra.storage.protocol import PIECE
from app.media.examination import examine
from app.media.outcome import Examined, FailedExamination, Failure, Outcome, RefusedFile
from config import settings

_MOST_ATTEMPTS = 3
_PAUSE = 30  # Seconds until what could not be looked at, through no fault of the file, is tried again.
_FETCHING = 180  # Seconds that getting a file and storing what was made of it may take.
_SPARE = 60  # Seconds after which another worker may take a file, once this one had to be done.
_EXPECTED = 86_400  # Seconds for which what is stored may wait to be kept.
_SWEPT = 200  # Files that one sweep asks for.
_NONE_OF_THE_FILES_FAULT = {Failure.NOT_STARTED, Failure.NO_SPACE}

log = structlog.get_logger(__name__)


class _Result(NamedTuple):
    """What was found, in the names of the columns, and the objects made of the file."""

    found: Mapping[str, Any]
    objects: Sequence[tuple[NewObject, Path]] = ()


class _Lost(Exception):
    """The claim is over: the file was deleted, or another worker has it."""


def longest_run() -> int:
    """Seconds that one attempt may take."""
    return settings().media_time_limit + _FETCHING


def process_file(file_id: UUID) -> None:
    """Looks at a file whose turn it is, tells the owner's devices, and asks for the chats that show it to be told.

    Raises Unavailable where a server is away: then it is tried again later.
    """
    with unit_of_work() as unit:
        claim = queries.claim(unit, file_id, longest_run() + _SPARE)
    if claim is None:
        return
    if claim.attempt > _MOST_ATTEMPTS:
        _finish(claim, _failed("not_processed"))
        return
    try:
        _attempt(claim)
    except Unavailable:
        _try_again(claim, _PAUSE, counts=False)
        raise


def sweep_processing() -> int:
    """Asks for files whose job was lost, or whose worker died, to be looked at; gives how many."""
    with unit_of_work() as unit:
        due = queries.due(unit, _SWEPT)
        for file_id in due:
            jobs.enqueue(unit, jobs.PROCESS_FILE, file_id=str(file_id))
    return len(due)


def _attempt(claim: Claim) -> None:
    with workplace() as folder:
        pause = 0
        try:
            result = _looked_at(claim, folder)
        except (Incomplete, NoSuchObject, ScanFailed) as error:
            # What storage or clamd could not do now it may do later.
            result, pause = FailedExamination(Failure.DEFECT, repr(error)), _PAUSE
        if isinstance(result, FailedExamination):
            log.warning("file_not_processed", attempt=claim.attempt, reason=result.reason, detail=result.detail)
            if claim.attempt < _MOST_ATTEMPTS:
                _try_again(claim, _PAUSE if result.reason in _NONE_OF_THE_FILES_FAULT else pause, counts=True)
                return
            result = _failed("not_processed")
        _store(claim, result)
        _finish(claim, result)


def _looked_at(claim: Claim, folder: Path) -> _Result | FailedExamination:
    path = fetch(claim, folder, int(settings().media_growth_limit))
    sha256 = hashed(path) if claim.needs_hash else None
    address = settings().clamd_address
    if address is not None:
        virus = found_virus(path, address, settings().clamd_timeout)
        if virus is not None:
            log.warning("virus_found", file_id=str(claim.file_id), virus=virus)
            return _failed("virus", sha256)
    return _judged(examine(path, folder, "made"), sha256)


def _judged(outcome: Outcome, sha256: bytes | None) -> _Result | FailedExamination:
    if isinstance(outcome, FailedExamination):
        return outcome
    if isinstance(outcome, RefusedFile):
        log.info("file_refused", reason=outcome.reason, detail=outcome.detail)
        return _failed(outcome.reason.value, sha256)
    found = _found("ready", None, sha256) | {
        "kind": outcome.kind,
        "mime_type": outcome.mime_type,
        "width": outcome.width,
        "height": outcome.height,
        "duration_seconds": outcome.duration_seconds,
        "preview": outcome.preview,
        "waveform": None if outcome.waveform is None else list(outcome.waveform),
    }
    return _Result(found, _made(outcome))


def _made(examined: Examined) -> list[tuple[NewObject, Path]]:
    made = [
        (NewObject(each.name, new_key(), each.mime_type, each.size, each.width, each.height), each.path)
        for each in examined.thumbnails
    ]
    if examined.shared is not None:
        shared = NewObject("shared", new_key(), examined.shared.mime_type, examined.shared.size)
        made.append((shared, examined.shared.path))
    return made


def _failed(reason: str, sha256: bytes | None = None) -> _Result:
    return _Result(_found("failed", reason, sha256))


def _found(status: str, failure: str | None, sha256: bytes | None) -> dict[str, Any]:
    unknown = ("kind", "mime_type", "width", "height", "duration_seconds", "preview", "waveform")
    return {"status": status, "failure": failure, "sha256": sha256, **dict.fromkeys(unknown)}


def _store(claim: Claim, result: _Result) -> None:
    """Stores what was made, once it is noted that it may have to be removed; nothing stays where storage fails."""
    if not result.objects:
        return
    keys = [each.key for each, _ in result.objects]
    with unit_of_work() as unit:
        queries.expect(unit, keys, _EXPECTED)
    try:
        for each, path in result.objects:
            with path.open("rb") as file:
                storage().store(each.key, iter(lambda: file.read(PIECE), b""), each.mime_type)
    except Unavailable:
        # The next attempt has other keys, and there may be many.
        with unit_of_work() as unit:
            object_queries.give_up(unit, keys)
        raise
    log.debug("file_objects_stored", file_id=str(claim.file_id), objects=len(result.objects))


def _finish(claim: Claim, result: _Result) -> None:
    try:
        with unit_of_work() as unit:
            _write(unit, claim, result)
    except _Lost:
        with unit_of_work() as unit:
            object_queries.give_up(unit, [each.key for each, _ in result.objects])


def _write(unit: UnitOfWork, claim: Claim, result: _Result) -> None:
    """Makes what was found, and what was stored, part of the file. Raises _Lost.

    Who sends it holds its row: messages that are there by now are told by a job, later ones have its kind at once.
    """
    if not queries.hold(unit, claim):
        raise _Lost
    if result.objects and not queries.keep(unit, claim.file_id, [each for each, _ in result.objects]):
        raise _Lost
    queries.finish(unit, claim.file_id, result.found, sum(each.size for each, _ in result.objects))
    row = file_queries.find(unit, claim.file_id)
    assert row is not None
    if queries.note_untold(unit, claim.file_id):
        jobs.enqueue(unit, jobs.TELL_OF_FILE, file_id=str(claim.file_id))
    events.file_updated(unit, claim.owner_id, present(row, claim.owner_id))


def _try_again(claim: Claim, seconds: int, *, counts: bool) -> None:
    with unit_of_work() as unit:
        if queries.again(unit, claim, seconds, counts) and not seconds:
            jobs.enqueue(unit, jobs.PROCESS_FILE, file_id=str(claim.file_id))
