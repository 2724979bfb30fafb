"""An application with the endpoints of endpoints.py, and access tokens for it."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Callable

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask_jwt_extended import create_access_token

from app.factory import create_app
from tests.web.endpoints import blueprint


def with_probes(app: Flask) -> Flask:
    """The same application, with the tests' own endpoints."""
    app.register_blueprint(blueprint, url_prefix="/api/probe")
    return app


@pytest.fixture(scope="session")
def edge_app() -> Flask:
    """The application and the tests' own endpoints."""
    return with_probes(create_app())


@pytest.fixture
def client(edge_app: Flask) -> FlaskClient:
    """A client of the application."""
    return edge_app.test_client()


@pytest.fixture
def user_id() -> int:
    """An id that no other test uses."""
    return secrets.randbelow(2**52) + 1


@pytest.fixture
def signed_in(edge_app: Flask, user_id: int) -> dict[str, str]:
    """Headers with an access token of `user_id`, good for endpoints that do not ask whether the session lives."""
    return token_headers(edge_app)(user_id)


def token_headers(app: Flask) -> Callable[[int], dict[str, str]]:
    """Makes headers with access tokens."""

    def make(user_id: int) -> dict[str, str]:
        with app.app_context():
            token = create_access_token(str(user_id), additional_claims={"sid": str(uuid.uuid4())})
        return {"Authorization": f"Bearer {token}"}

    return make
