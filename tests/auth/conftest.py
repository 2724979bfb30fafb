"""People for the tests of identity."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from flask import Flask

from tests.auth.clients import Person


@pytest.fixture
def stranger(app: Flask) -> Callable[[], Person]:
    """Makes people who have not signed up."""
    return lambda: Person(app)


@pytest.fixture
def person(stranger: Callable[[], Person]) -> Person:
    """Somebody who has signed up and is signed in."""
    return stranger().sign_up()
