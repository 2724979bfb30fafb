"""The unread fan-out: brings every member's unread count up to the chat's last message.

It is safe to run twice, late, in any order and at the same time as sends and reads: it locks the states that are
behind, looks, and counts only what is missing. Unlike other services it opens its own units of work, because each
batch of members is a transaction of its own, so that nobody waits for long.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from prometheus_client import Counter

from app.infra.db import UnitOfWork, reading, unit_of_work
from app.messages import removal_queries, removals, unread_events, unread_queries
from app.messages.unread_queries import Difference, Progress
from config import settings

# Messages of one chat that are counted at once; a chat that is further behind takes several rounds.
_LARGEST_ROUND = 10_000
_RECOUNT_PAGE = 50

counted_states = Counter("paperplane_unread_states_counted", "Members' unread counts that the fan-out moved.")


def fan_out_all(chat_ids: Collection[int]) -> int:
    """Counts the new messages of chats for all present members; gives how many members were behind.

    Small chats share statements, large ones go in batches of members.
    Deleted messages that are still in counts are taken out of them as well.
    """
    with reading() as unit:
        due = unread_queries.progress(unit, sorted(set(chat_ids)))
    counted = 0
    for group in _groups([chat for chat in due if chat.last_seq > chat.fanned_out_seq]):
        if len(group) == 1 and _is_large(group[0]):
            counted += _fan_out_large(group[0])
        else:
            counted += _fan_out_small(group)
    counted_states.inc(counted)
    # Last: it takes long in a large chat, for which the others must not wait.
    for chat in due:
        if chat.has_removals:
            removals.work_off(chat.chat_id)
    return counted


def _is_large(chat: Progress) -> bool:
    return chat.member_count > settings().fanout_batch or chat.last_seq - chat.fanned_out_seq > _LARGEST_ROUND


def _groups(due: Sequence[Progress]) -> Iterator[list[Progress]]:
    """Small chats together up to a batch of members, each large one alone."""
    group: list[Progress] = []
    members = 0
    for chat in due:
        if _is_large(chat):
            yield [chat]
            continue
        if group and members + chat.member_count > settings().fanout_batch:
            yield group
            group, members = [], 0
        group.append(chat)
        members += chat.member_count
    if group:
        yield group


def _fan_out_small(chats: Sequence[Progress]) -> int:
    targets = {chat.chat_id: chat.last_seq for chat in chats}
    with unit_of_work() as unit:
        unit.relax_durability()
        states = unread_queries.lock_chats(unit, targets)
        counts = unread_queries.count(unit, states, targets) if states else []
        unread_queries.finish(unit, targets)
        unread_events.unread_changed(unit, counts)
        unread_events.chats_reached(unit, targets)
    return len(counts)


def _fan_out_large(chat: Progress) -> int:
    counted = 0
    reached = chat.fanned_out_seq
    while reached < chat.last_seq:
        reached = min(chat.last_seq, reached + _LARGEST_ROUND)
        counted = _round(chat.chat_id, reached, is_last=reached == chat.last_seq)
    return counted


def _round(chat_id: int, target: int, is_last: bool) -> int:
    """Counts up to `target` for all members, batch by batch; only the last round's counts are worth telling."""
    counted = 0
    after = 0
    limit = settings().fanout_batch
    while True:
        with unit_of_work() as unit:
            unit.relax_durability()
            states = unread_queries.lock_part(unit, chat_id, target, after, limit)
            counts = unread_queries.count(unit, states, {chat_id: target}) if states else []
            if is_last:
                unread_events.unread_changed(unit, counts)
            if len(states) < limit:
                unread_queries.finish(unit, {chat_id: target})
                unread_events.chats_reached(unit, {chat_id: target})
        counted += len(counts)
        if len(states) < limit:
            return counted
        after = states[-1].user_id


def tell_counts(chat_id: int, user_ids: Collection[int]) -> None:
    """Tells people their exact counts of a chat once more, where what was told may not have reached them."""
    with unit_of_work() as unit:
        counts = [count for user_id in sorted(user_ids) for count in removal_queries.held_count(unit, user_id, chat_id)]
        unread_events.unread_changed(unit, counts)


def recount(unit: UnitOfWork, chat_ids: Collection[int] | None = None) -> list[Difference]:
    """Members whose unread count is not what SQL counts; of the given chats, or of all."""
    if chat_ids is not None:
        return unread_queries.differences(unit, sorted(chat_ids))
    found: list[Difference] = []
    after = 0
    while page := unread_queries.chat_page(unit, after, _RECOUNT_PAGE):
        found += unread_queries.differences(unit, page)
        after = page[-1]
    return found
