"""People for the tests of finding people."""

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
def viewer(stranger: Callable[[], Person]) -> Person:
    """Somebody signed in who looks for others."""
    return stranger().sign_up()
