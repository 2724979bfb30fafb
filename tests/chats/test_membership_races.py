"""Several people change one chat at the same moment: nothing is lost, counted twice or left without an owner."""

from __future__ import annotations

import operator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from sqlalchemy import text

from app.chats import service
from app.chats.locking import lock_chat
from app.contacts import service as contacts
from app.infra.db import unit_of_work
from tests.chats.membership import (
    Act,
    People,
    add,
    assert_whole,
    change,
    channel,
    during,
    give_role,
    join,
    leave,
    make_public,
    notices,
    outcome,
    remove,
    roles,
    with_admins,
)
from tests.people import Person

ROUNDS = 4


def together(*acts: Act) -> list[int | str]:
    """What becomes of acts that begin at once."""
    with ThreadPoolExecutor(8) as pool:
        return [outcome(answer) for answer in pool.map(operator.call, acts)]


def test_strangers_neither_wait_for_a_chat_that_is_being_changed_nor_learn_of_it(people: People) -> None:
    ada, bob, eve = people(3)
    group = ada.group(bob)
    acts = [
        partial(change, eve, group, name="Mine"),
        partial(add, eve, group, eve),
        partial(give_role, eve, group, eve, "owner"),
        partial(remove, eve, group, bob),
        partial(leave, eve, group),
        partial(join, eve, group),
        partial(eve.call, "DELETE", f"/chats/{group}"),
    ]
    with unit_of_work() as unit:
        lock_chat(unit, group, ada.id)
        assert together(*acts) == ["not_found"] * len(acts)


def test_who_may_not_add_people_neither_waits_for_their_rows_nor_holds_them(people: People) -> None:
    ada, bob, eve = people(3)
    acts = {
        "not_found": partial(add, eve, ada.group(), bob),
        "forbidden": partial(add, eve, channel(ada, eve), bob),
        "conflict": partial(add, eve, eve.direct_chat(ada), bob),
    }
    with unit_of_work() as unit:
        unit.execute(text("SELECT 1 FROM users WHERE id = :id FOR NO KEY UPDATE"), {"id": bob.id})
        assert together(*acts.values()) == list(acts)


def test_who_is_just_blocking_somebody_is_not_added_by_them(people: People) -> None:
    ada, bob = people(2)
    group = bob.group()
    body = {"type": "group", "name": "Trap", "member_ids": [ada.id]}
    for add_her in (partial(add, bob, group, ada), partial(bob.call, "POST", "/chats", body)):
        assert outcome(during(lambda unit: contacts.block(unit, ada.id, bob.id), add_her)) == "forbidden"
        assert ada.get("/chats")["items"] == []
        ada.call("DELETE", f"/users/{bob.id}/block")


def test_a_block_is_answered_once_nobody_who_it_keeps_off_can_still_add(people: People) -> None:
    ada, bob = people(2)
    group = bob.group()
    block_him = partial(ada.call, "POST", f"/users/{bob.id}/block")
    assert outcome(during(lambda unit: service.add_members(unit, bob.id, group, [ada.id]), block_him)) == 204


def test_two_admins_who_remove_each_other_are_both_refused(people: People) -> None:
    owner, one, two = people(3)
    for _ in range(ROUNDS):
        group = with_admins(Person.group, owner, (one, two))
        outcomes = together(*[partial(remove, one, group, two), partial(remove, two, group, one)] * 4)
        assert set(outcomes) == {"forbidden"}
        assert_whole(group)


def test_owners_of_the_past_cannot_remove_who_they_handed_over_to(people: People) -> None:
    one, two = people(2)
    for _ in range(ROUNDS):
        group = one.group(two)
        together(
            *[partial(give_role, one, group, two, "owner"), partial(remove, one, group, two)] * 2,
            *[partial(remove, two, group, one), partial(give_role, two, group, one, "owner")] * 2,
        )
        assert_whole(group)


def test_an_owner_who_leaves_while_handing_over_leaves_one_owner(people: People) -> None:
    ada, *others = people(4)
    for _ in range(ROUNDS):
        group = ada.group(*others)
        outcomes = together(
            *[partial(give_role, ada, group, other, "owner") for other in others],
            *[partial(leave, ada, group)] * 5,
        )
        assert outcomes[3:].count(204) <= 1
        assert outcomes[:3].count(200) == 1
        assert_whole(group)


def test_owners_who_hand_over_in_a_circle_stay_one(people: People) -> None:
    circle = people(4)
    group = circle[0].group(*circle[1:])
    for _ in range(ROUNDS):
        together(
            *[
                partial(give_role, giver, group, taker, "owner")
                for giver, taker in zip(circle, circle[1:] + circle[:1], strict=True)
            ]
            * 2
        )
        assert_whole(group)


def test_somebody_added_by_all_at_once_is_added_once(people: People) -> None:
    *members, new = people(9)
    for _ in range(ROUNDS):
        group = members[0].group(*members)
        outcomes = together(*[partial(add, member, group, new) for member in members])
        assert outcomes == [200] * 8
        assert len(notices(new, group)) == 1
        assert_whole(group)


def test_people_who_come_and_go_at_once_are_counted_right(people: People) -> None:
    owner, *others = people(9)
    group = owner.group(*others[:4])
    make_public(owner, group)
    for _ in range(ROUNDS):
        together(
            *[partial(leave, person, group) for person in others[:4]],
            *[partial(join, person, group) for person in others],
            partial(remove, owner, group, others[7]),
            partial(add, owner, group, *others[4:]),
        )
        assert_whole(group)
        assert len(roles(owner, group)) == owner.get(f"/chats/{group}")["member_count"]


def test_a_chat_that_ends_while_people_join_ends_empty(people: People) -> None:
    owner, *others = people(8)
    for _ in range(ROUNDS):
        group = owner.group()
        make_public(owner, group)
        outcomes = together(
            *[partial(join, person, group) for person in others[:4]],
            partial(owner.call, "DELETE", f"/chats/{group}"),
            *[partial(join, person, group) for person in others[4:]],
        )
        assert outcomes[4] == 204
        assert set(outcomes) - {204} <= {200, "not_found"}
        assert_whole(group)
        assert group not in [chat["id"] for person in others for chat in person.get("/chats")["items"]]


def test_the_last_owner_who_leaves_while_somebody_joins_leaves_no_chat_without_an_owner(people: People) -> None:
    owner, *others = people(4)
    for _ in range(ROUNDS):
        group = owner.group()
        make_public(owner, group)
        together(*[partial(join, person, group) for person in others], partial(leave, owner, group))
        assert_whole(group)


def test_messages_of_members_who_are_just_removed_are_in_order_or_refused(people: People) -> None:
    owner, bob = people(2)
    group = owner.group(bob)
    with ThreadPoolExecutor(8) as pool:
        sending = [
            pool.submit(bob.call, "POST", "/messages", {"chat_id": group, "text": str(number)}) for number in range(20)
        ]
        assert outcome(remove(owner, group, bob)) == 204
        outcomes = {outcome(future.result()) for future in sending}
    assert outcomes <= {201, "not_found"}
    items = owner.get(f"/chats/{group}/messages", limit=100)["items"]
    removed = next(item for item in items if item["message_type"] == "service")
    assert items[0] == removed
    assert [item["seq"] for item in items] == list(range(len(items), 0, -1))
