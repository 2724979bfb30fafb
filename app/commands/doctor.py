"""`doctor`: what is wrong with this installation, and what to do about it."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text
from sqlalchemy.engine import make_url

from app.commands import doctor_queries
from app.commands.checks import database, machine
from app.commands.checks import redis as redis_checks
from app.commands.checks.finding import Finding, Level, broken, good
from app.errors import Unavailable
from app.infra.db import unit_of_work
from app.messages import status_jobs, unread, unread_jobs
from app.search import index_jobs
from config import Settings, settings

if TYPE_CHECKING:
    from argparse import _SubParsersAction

_COLOURS = {Level.GOOD: "green", Level.WARNING: "yellow", Level.BROKEN: "red"}
_SHOWN_DIFFERENCES = 10


def add_to(names: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the command line."""
    parser = names.add_parser("doctor", help="say what is wrong with this installation, if anything")
    parser.add_argument("--recount", action="store_true", help="also count all unread messages anew and compare (slow)")
    parser.add_argument("--retry-set-aside", action="store_true", help="try again what failed too often")
    parser.set_defaults(run=run)


def run(chosen: argparse.Namespace) -> int:
    """Prints a line for each finding; 1 where something is broken."""
    current = settings()
    console = Console(highlight=False, soft_wrap=True)
    console.print(Text(_summary(current), style="dim"))
    if chosen.retry_set_aside:
        with contextlib.suppress(Unavailable):
            tried = unread_jobs.marked.retry_set_aside() + status_jobs.marked.retry_set_aside()
            tried += index_jobs.retry_set_aside()
            console.print(f"Tried {tried} chats again that were set aside.")
    worst = Level.GOOD
    for finding in _findings(current, chosen.recount):
        console.print(_line(finding))
        if finding.level is Level.BROKEN or worst is Level.GOOD:
            worst = finding.level
    closing = {
        Level.GOOD: "All is well.",
        Level.WARNING: "It works; see the lines with !.",
        Level.BROKEN: "Something is broken: see the lines with ✗.",
    }
    console.print(Text(closing[worst], style=_COLOURS[worst]))
    return 1 if worst is Level.BROKEN else 0


def _findings(current: Settings, recount: bool) -> Iterator[Finding]:
    found = list(database.check(current))
    yield from found
    yield from redis_checks.check(current)
    yield from machine.check(current)
    if recount and not any(finding.level is Level.BROKEN for finding in found):
        yield _recounted()


def _recounted() -> Finding:
    with unit_of_work() as unit:
        doctor_queries.be_patient(unit)
        wrong = unread.recount(unit)
    if not wrong:
        return good("Unread counts", "equal a recount")
    shown = "; ".join(
        f"chat {each.chat_id}, user {each.user_id}: {each.unread_count} instead of {each.recount}"
        for each in wrong[:_SHOWN_DIFFERENCES]
    )
    return broken("Unread counts", f"{len(wrong)} differ from a recount: {shown}", "please report this")


def _summary(current: Settings) -> str:
    """The settings in a line, without secrets."""
    database_url = "embedded" if current.embeds_database else make_url(current.database).render_as_string()
    redis_url = "embedded" if current.embeds_redis else make_url(current.redis).render_as_string()
    return (
        f"{current.environment}, data in {current.data_dir}, API on {current.host}:{current.port}, "
        f"{current.web_workers} API processes, PostgreSQL {database_url}, Redis {redis_url}"
    )


def _line(finding: Finding) -> Text:
    line = Text()
    line.append(f"{finding.level.value} ", style=_COLOURS[finding.level])
    line.append(f"{finding.subject}: ", style="bold")
    line.append(finding.text)
    if finding.advice:
        line.append(f"\n    {finding.advice}", style="italic")
    return line
