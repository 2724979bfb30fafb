"""Names of files, as they are kept."""

from __future__ import annotations

import pytest

from app.files.names import clean_name

# Each letter with two marks of different classes, in the order that a composed text does not have.
_MARKS = "\N{COMBINING COMMA ABOVE RIGHT}" * 250_000 + "\N{COMBINING GRAVE ACCENT BELOW}" * 250_000


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("a" + _MARKS + ".jpg", ".jpg"),
        ("a" * 500_000 + ".tar.gz", ".gz"),
        ("." + "a" * 500_000, "a"),
        ("漢" * 500_000 + ".png", ".png"),
        ("a" * 990 + "." + "漢" * 30, "a"),
    ],
)
def test_of_an_endless_name_the_beginning_and_the_ending_are_kept_without_looking_at_the_rest(
    given: str, kept: str
) -> None:
    name = clean_name(given)
    assert 200 < len(name.encode()) <= 255
    assert name[0] == given[0]
    assert name.endswith(kept)
