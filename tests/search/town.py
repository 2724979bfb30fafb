"""A few people whose chats live at random, for tests that compare what is clever with what is plain."""

from __future__ import annotations

import random
from datetime import datetime

from app.chats.service import clear_history
from app.errors import AppError
from app.infra.db import unit_of_work
from app.messages import service as messages
from tests.factories import make_chat, make_users, run, scalar
from tests.search.scenes import be_read, index, write

WORDS = (
    *(
        "hello",
        "hallo",
        "hel",
        "world",
        "word",
        "Straße",
        "strasse",
        "été",
        "ılık",
        "ILIK",
        "it's",
        "its",
        "snake_case",
    ),
    *(
        "北京",
        "北京大学",
        "大学生",
        "京",
        "学",
        "東京タワー",
        "한국어",
        "ไทย",
        "วันนี้",
        "привет",
        "שלום",
        "हिन्दी",
        "مُحَمَّد",
    ),
    *(
        "#tag",
        "#tags",
        "@ada",
        "example.com",
        "1.5",
        "15",
        "👍🏽",
        "👍",
        "👩\u200d💻",
        "a",
        "b",
        "iPhone手机",
        "'",
        "...",
        "\\",
    ),
)


class Town:
    """Three people in some chats, who write, read, edit, delete, clear and leave."""

    def __init__(self, seed: int) -> None:
        self.choice = random.Random(seed)
        self.people = make_users(3)
        self.chats = [make_chat(self.people) for _ in range(4)]
        self.ids: list[tuple[int, int]] = []

    def text(self) -> str:
        return " ".join(self.choice.choices(WORDS, k=self.choice.randint(0, 6)))

    def live(self, steps: int) -> None:
        """Does so much at random; indexes now and then."""
        for _ in range(steps):
            self.choice.choices(
                (self.write, self.edit, self.delete, self.hide, self.clear, self.join_late, self.reindex, self.read),
                (8, 3, 2, 2, 0.3, 0.3, 2, 3),
            )[0]()
        index(*self.chats)

    def write(self) -> None:
        chat, person = self.choice.choice(self.chats), self.choice.choice(self.people)
        kind = self.choice.choice(["text", "text", "text", "image", "service"])
        new = write(chat, person, *(self.text() for _ in range(self.choice.randint(1, 9))), kind=kind)
        if kind != "service":
            self.ids += [(message_id, person) for message_id in new]

    def edit(self) -> None:
        for message_id, person in self.some():
            if (
                scalar("SELECT message_type FROM messages WHERE id = :i AND deleted_at IS NULL", i=message_id)
                is not None
            ):
                try:
                    with unit_of_work() as unit:
                        messages.edit_message(unit, person, message_id, self.text() or "x")
                except AppError:
                    continue

    def delete(self) -> None:
        for message_id, person in self.some():
            try:
                with unit_of_work() as unit:
                    messages.delete_message(unit, person, message_id, for_everyone=True)
            except AppError:
                continue

    def read(self) -> None:
        chat = self.choice.choice(self.chats)
        last_seq = int(str(scalar("SELECT last_seq FROM chats WHERE id = :c", c=chat)))
        be_read(chat, self.choice.randint(0, last_seq), is_read=self.choice.random() < 0.7)

    def hide(self) -> None:
        for message_id, _ in self.some():
            try:
                with unit_of_work() as unit:
                    messages.delete_message(unit, self.choice.choice(self.people), message_id, for_everyone=False)
            except AppError:
                continue

    def middle(self) -> datetime:
        """When about half of the messages had been sent."""
        found = scalar("SELECT created_at FROM messages WHERE id = :i", i=self.ids[len(self.ids) // 2][0])
        assert isinstance(found, datetime)
        return found

    def some(self) -> list[tuple[int, int]]:
        return self.choice.sample(self.ids, min(3, len(self.ids)))

    def clear(self) -> None:
        with unit_of_work() as unit:
            clear_history(unit, self.people[0], self.choice.choice(self.chats), for_everyone=False)

    def join_late(self) -> None:
        chat, person = self.choice.choice(self.chats), self.people[1]
        run(
            "UPDATE chat_members SET history_from_seq = (SELECT last_seq FROM chats WHERE id = :c)"
            " WHERE chat_id = :c AND user_id = :u",
            c=chat,
            u=person,
        )

    def reindex(self) -> None:
        index(self.choice.choice(self.chats))
