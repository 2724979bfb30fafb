"""`demo`: people, chats and months of messages to try Paperplane with."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import Progress

from app.auth import service as accounts
from app.auth.schemas import NewUser
from app.commands import demo_queries, demo_texts
from app.commands.demo_messages import Conversation, LineReader, lines
from app.commands.demo_queries import NewChat
from app.errors import Conflict, Forbidden
from app.infra import partitions
from app.infra.db import UnitOfWork, unit_of_work
from app.infra.passwords import hash_password
from config import settings

if TYPE_CHECKING:
    from argparse import _SubParsersAction

PASSWORD = "paperplane-demo"  # noqa: S105 - it is printed, and made for no production.
# Message ids count from this moment.
_OLDEST = datetime(2025, 1, 1, tzinfo=UTC)
# How many messages people have not read: mostly none.
_BEHIND = (0, 0, 0, 0, 0, 0, 1, 2, 3, 7)


def add_to(names: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Adds the command to the command line."""
    parser = names.add_parser("demo", help="fill the database with people, chats and messages to try")
    parser.add_argument("--people", type=_number(2, 5000), default=20)
    parser.add_argument("--groups", type=_number(0, 5000), default=6)
    parser.add_argument("--messages", type=_number(1, 50_000_000), default=20_000)
    parser.add_argument(
        "--months", type=_number(1, 120), default=6, help="how far back the messages go, at most to 2025"
    )
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same conversations")
    parser.add_argument("--yes", action="store_true", help="also in production")
    parser.set_defaults(run=run)


def _number(least: int, most: int) -> Callable[[str], int]:
    def read(given: str) -> int:
        number = int(given)
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"from {least} to {most}")
        return number

    return read


def phone(number: int) -> str:
    """The phone number of the demo's person `number`, counted from 0."""
    return f"+1555{number:07d}"


def run(chosen: argparse.Namespace) -> int:
    """Makes the demo, whole or not at all, unless there is one; says how to sign in.

    Raises Forbidden in production without --yes, Conflict where usernames are taken, or Unavailable.
    """
    if settings().environment == "production" and not chosen.yes:
        raise Forbidden("This is production: people with a known password would be made. If you mean it, add --yes.")
    console = Console(highlight=False)
    random = Random(chosen.seed)  # noqa: S311 - what people say in a demo.
    now = datetime.now(UTC)
    begin = max(now - timedelta(days=30 * chosen.months), _OLDEST)
    with unit_of_work() as unit:
        there = demo_queries.exists(unit)
        if not there:
            partitions.keep_back_to(unit.connection, demo_queries.oldest_id(unit, begin.isoformat()))
    if there:
        console.print("[green]✓[/] The demo is there already; nothing was changed.")
    else:
        password_hash = hash_password(PASSWORD)
        with unit_of_work() as unit, Progress(console=console, transient=True) as bar:
            demo_queries.be_patient(unit)
            people = _make_people(unit, random, chosen.people, password_hash)
            conversations = _make_chats(unit, random, people, chosen.groups, begin)
            if not conversations:
                raise Conflict("These people have chats with each other already: the demo needs an empty database.")
            job = bar.add_task("Messages", total=chosen.messages)
            made = lines(
                random,
                conversations,
                chosen.messages,
                int(begin.timestamp() * 1000),
                int(now.timestamp() * 1000) - 1000,
            )
            demo_queries.copy_messages(unit, LineReader(made, lambda count: bar.advance(job, count)))
            _finish(unit, random, conversations)
        console.print(
            f"[green]✓[/] {len(people)} people, {len(conversations)} chats, {chosen.messages} messages since "
            f"{begin:%d %B %Y}."
        )
    console.print(f"Sign in as {phone(0)} or {phone(1)} with the password {PASSWORD}.")
    return 0


def _make_people(unit: UnitOfWork, random: Random, count: int, password_hash: str) -> list[int]:
    rows = []
    for number in range(count):
        first = demo_texts.FIRST_NAMES[number % len(demo_texts.FIRST_NAMES)]
        last = random.choice(demo_texts.LAST_NAMES)
        rows.append(NewUser(phone(number), first, last, f"{first.lower()}_{number:04d}"))
    return accounts.create_users(unit, rows, password_hash)


def _make_chats(
    unit: UnitOfWork, random: Random, people: Sequence[int], groups: int, begin: datetime
) -> list[Conversation]:
    """Groups, and direct chats of the first two people with everybody and of others with a few."""
    pairs = {(min(a, b), max(a, b)) for a in people[:2] for b in people if a != b}
    pairs |= {(min(pair), max(pair)) for pair in (random.sample(list(people), 2) for _ in people)}
    chats = [NewChat("direct", None, f"{a}:{b}", a, (a, b)) for a, b in sorted(pairs)]
    for number in range(groups):
        members = random.sample(list(people), random.randint(min(3, len(people)), min(len(people), 40)))
        members = sorted({people[0], people[1], *members}) if number < len(demo_texts.GROUPS) else sorted(members)
        name = demo_texts.GROUPS[number % len(demo_texts.GROUPS)]
        suffix = f" {number // len(demo_texts.GROUPS) + 1}" if number >= len(demo_texts.GROUPS) else ""
        chats.append(NewChat("group", f"{name}{suffix}", None, members[0], tuple(members)))
    ids = demo_queries.insert_chats(unit, chats, begin.isoformat())
    made = [(ids[key], chat) for chat in chats if (key := chat.direct_key or chat.name or "") in ids]
    demo_queries.insert_members(unit, [(chat_id, user) for chat_id, chat in made for user in chat.member_ids])
    demo_queries.insert_contacts(unit, [pair for a, b in sorted(pairs) for pair in ((a, b), (b, a))])
    return [
        Conversation(chat_id, chat.member_ids, random.paretovariate(1.2) * len(chat.member_ids))
        for chat_id, chat in made
    ]


def _finish(unit: UnitOfWork, random: Random, conversations: Sequence[Conversation]) -> None:
    written = [conversation for conversation in conversations if conversation.seq]
    demo_queries.finish_chats(unit, {each.chat_id: (each.seq, each.last_id) for each in written})
    demo_queries.finish_states(
        unit,
        [
            (each.chat_id, user_id, max(0, each.seq - random.choice(_BEHIND), each.sent_seqs.get(user_id, 0)))
            for each in written
            for user_id in each.member_ids
        ],
    )
