"""What was told of somebody's presence last is what holds, whatever came in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.faults.hurting import leave, locked
from tests.people import Person, Socket
from tests.processes import eventually
from tests.waiting import waiting_for

Folk = Callable[[int], list[Person]]


@contextmanager
def watched(folk: Folk) -> Iterator[tuple[Person, Socket, Person, Socket]]:
    """Somebody with a socket, and somebody whom that one has seen come online by another."""
    ada, bob = folk(2)
    ada.send(ada.direct_chat(bob), "hello")
    with ada.socket() as watching:
        socket = bob.socket()
        assert watching.next("presence", user_id=bob.id)["status"] == "online"
        yield ada, watching, bob, socket


def test_a_person_who_goes_while_the_row_is_locked_is_told_to_be_gone(folk: Folk) -> None:
    with watched(folk) as (_, watching, bob, socket):
        with locked("SELECT 1 FROM users WHERE id = :id FOR UPDATE", id=bob.id) as connection:
            leave(socket)
            eventually(lambda: waiting_for(connection) > 0)
            eventually(lambda: waiting_for(connection) == 0, message="PostgreSQL's time-out did not come")
        assert watching.next("presence", user_id=bob.id)["status"] == "offline"


def told_last(watching: Socket, person: Person) -> str:
    """The status that was told last, once what is under way has come."""
    watching.quiet()
    told = [event["data"] for event in watching.events if event["event"] == "presence"]
    status: str = [data["status"] for data in told if data["user_id"] == person.id][-1]
    return status


def shown(viewer: Person) -> str:
    """The status of the other person in the viewer's only chat, over REST."""
    (chat,) = viewer.get("/chats")["items"]
    status: str = chat["peer"]["status"]
    return status


def test_after_quick_reloads_the_status_told_last_is_the_one_that_rest_shows(folk: Folk) -> None:
    with watched(folk) as (ada, watching, bob, socket):
        for _ in range(20):
            socket.socket.shutdown()
            socket = bob.socket()
            # Lets those who tell of it come to an end; what they told then stays.
            for _ in range(5):
                shown(ada)
            eventually(lambda: told_last(watching, bob) == shown(ada), message="what was told last does not hold")
        leave(socket)
        eventually(lambda: told_last(watching, bob) == "offline")


def test_a_reload_is_told_in_the_order_in_which_it_happened_although_leaving_takes_longer(folk: Folk) -> None:
    with (
        watched(folk) as (ada, watching, bob, socket),
        locked("SELECT 1 FROM users WHERE id = :id FOR UPDATE", id=bob.id) as connection,
    ):
        leave(socket)
        eventually(lambda: waiting_for(connection) > 0)
        with bob.socket():
            shown(ada)
            connection.rollback()
            for _ in range(10):
                shown(ada)
            eventually(lambda: told_last(watching, bob) == shown(ada) == "online")
