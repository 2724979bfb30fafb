"""The folding of names, and that whoever comes into the database can be found by theirs."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from sqlalchemy import text

from app.auth import names
from app.auth.service import create_user
from app.commands.__main__ import main
from app.infra import migrations
from app.infra.db import UnitOfWork, reading, unit_of_work
from bench import people as bench_people
from tests.auth.clients import PASSWORD, Person, new_username
from tests.conventions.test_migrations import empty_database
from tests.factories import make_users
from tests.people import make_people
from tests.unique import new_phone

Stranger = Callable[[], Person]
_PROJECT = Path(__file__).parents[2]
_INSERTS = re.compile(r"(?i)\b(into|copy) users\b|insert\(User\)")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("Ada Lovelace", ["ada", "lovelace"]),
        ("  Łucja  O\N{RIGHT SINGLE QUOTATION MARK}Neill-Ångström ", ["lucja", "oneill", "angstrom"]),
        ("Straße STRASSE", ["strasse"]),
        ("İstanbul \N{LATIN SMALL LETTER DOTLESS I}stanbul", ["istanbul"]),
        ("ŒUVRE Æon Þór Đặng", ["oeuvre", "aeon", "thor", "dang"]),
        ("e\u0301te\u0301 été", ["ete"]),
        ("\N{FULLWIDTH LATIN CAPITAL LETTER A}\N{FULLWIDTH LATIN SMALL LETTER D}A ﬁsh Ⅳ", ["ada", "fish", "iv"]),
        ("ada_lovelace", ["ada_lovelace"]),
        ("🦊Fox 🦊 ... ❤\N{VARIATION SELECTOR-16}", ["fox", "🦊", "...", "❤"]),
        ("हिन्दी", ["हिनदी"]),
        ("", []),
        ("x" * 65, ["x" * 64]),
    ],
)
def test_names_are_folded_to_words(name: str, words: list[str]) -> None:
    assert names.words(name) == words


def test_folding_what_is_folded_changes_nothing() -> None:
    for point in range(0x20, 0x2FA20):
        if not 0xD800 <= point < 0xE000:
            once = names.folded(chr(point))
            assert names.folded(once) == once, hex(point)


def unfindable(unit: UnitOfWork, user_ids: list[int]) -> list[int]:
    """Those of the people whose index is not what their names ask for."""
    rows: Sequence[Any] = unit.execute(
        text("""
            SELECT u.id, u.first_name, u.last_name, u.username, u.sort_name,
                   ARRAY(SELECT word FROM user_names n WHERE n.user_id = u.id)
            FROM users u WHERE u.id = ANY (:ids)"""),
        {"ids": user_ids},
    ).all()
    assert len(rows) == len(user_ids) > 0
    return [
        row[0]
        for row in rows
        if row[4] != " ".join(names.words(row[1], row[2])) or set(row[5]) != set(names.words(row[1], row[2], row[3]))
    ]


def test_whoever_signs_up_or_is_made_is_findable(app: Flask, stranger: Stranger) -> None:
    with unit_of_work() as unit:
        made = create_user(unit, new_phone(), PASSWORD, "Zoë", "Ångström", new_username())
    people = [stranger().sign_up(first_name="Zoë", last_name="Ångström").id, made]
    people += [person.id for person in make_people(app, 3)] + make_users(3)
    with reading() as unit:
        assert unfindable(unit, people) == []


def test_whoever_changes_names_is_found_by_the_new_ones_only(viewer: Person, stranger: Stranger) -> None:
    ada = stranger().sign_up(first_name="Zoë", last_name="Ångström")
    for change in (
        {"first_name": "Ada"},
        {"last_name": None},
        {"username": new_username()},
        {"username": None},
        {"first_name": "Ada Ada", "last_name": "King", "username": new_username()},
        {"bio": "unchanged"},
    ):
        assert ada.call("PATCH", "/auth/me", change).status_code == 200
        with reading() as unit:
            assert unfindable(unit, [ada.id]) == [], change
    found = viewer.get("/users", query_string={"q": ada.username}).json["items"]
    assert found == []


def _fill_benchmark() -> None:
    with unit_of_work() as unit:
        bench_people.fill(unit)


def _fill_demo() -> None:
    assert main(["demo", "--people", "12", "--groups", "1", "--messages", "10"]) == 0


@pytest.mark.parametrize("fill", [_fill_benchmark, _fill_demo])
def test_the_people_of_the_benchmark_and_of_the_demo_are_findable(
    monkeypatch: pytest.MonkeyPatch, fill: Callable[[], None]
) -> None:
    with empty_database(monkeypatch, "filled"):
        migrations.upgrade()
        fill()
        with reading() as unit:
            assert unfindable(unit, list(unit.execute(text("SELECT id FROM users")).scalars())) == []


def test_nothing_else_puts_people_into_the_database() -> None:
    """Whoever adds a statement calls `index_names` after it, tries it above, and counts it here."""
    found = {
        str(path.relative_to(_PROJECT)): len(_INSERTS.findall(path.read_text()))
        for folder in ("app", "bench", "local", "migrations", "tests", "workers")
        for path in (_PROJECT / folder).rglob("*.py")
        if path != Path(__file__)
    }
    assert {path: count for path, count in found.items() if count} == {
        "app/auth/queries/accounts.py": 2,  # signing up, and people made without a code
        "bench/crowd.py": 1,  # people whom nobody looks for
        "bench/people.py": 1,
        "tests/factories.py": 1,
        "tests/users/test_search.py": 1,
        "tests/workers/test_unread_plans.py": 1,  # likewise
    }
