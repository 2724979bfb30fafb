"""Browsers: whose pages may call."""

from __future__ import annotations

import pytest
from flask import Flask

from app.factory import create_app
from app.web.origins import is_allowed_origin
from config import Settings, load, settings

NAMED = "https://chat.example.com"
SECRET = "k3J9-vQ2x_L7mZ0pR8sT4wY6bN1cD5fG-hA"

ORIGINS = {
    NAMED: (True, True),
    "https://CHAT.example.com": (True, True),
    "http://localhost:5173": (True, False),
    "http://127.0.0.1:3000": (True, False),
    "http://localhost": (True, False),
    "http://localhost.evil.example": (False, False),
    "http://localhost:5173.evil.example": (False, False),
    "https://evil.example": (False, False),
    "https://chat.example.com.evil.example": (False, False),
    "http://chat.example.com": (False, False),
    "null": (False, False),
    "": (False, False),
}


def _settings(environment: str) -> Settings:
    return load(environment=environment, allowed_origins=NAMED, jwt_secret=SECRET, sms_provider="console")


@pytest.fixture(scope="module")
def apps() -> tuple[Flask, Flask]:
    """In development and in production, with one origin named."""
    return create_app(_settings("development")), create_app(_settings("production"))


@pytest.mark.parametrize(("origin", "allowed"), ORIGINS.items(), ids=[name or "empty" for name in ORIGINS])
def test_cors_and_sockets_allow_the_same_origins(
    apps: tuple[Flask, Flask], origin: str, allowed: tuple[bool, bool]
) -> None:
    for app, environment, expected in zip(apps, ("development", "production"), allowed, strict=True):
        for path in ("/healthz", "/nowhere"):
            headers = app.test_client().get(path, headers={"Origin": origin}).headers
            assert headers.get("Access-Control-Allow-Origin") == (origin if expected else None)
        assert is_allowed_origin(_settings(environment), origin) is expected


def test_a_preflight_allows_what_the_api_needs(apps: tuple[Flask, Flask]) -> None:
    wanted = {"Access-Control-Request-Method": "PATCH", "Access-Control-Request-Headers": "authorization, content-type"}
    response = apps[0].test_client().options("/api/auth/me", headers={"Origin": NAMED} | wanted)
    assert response.status_code == 200
    assert "PATCH" in response.headers["Access-Control-Allow-Methods"]
    allowed = response.headers["Access-Control-Allow-Headers"].lower().split(", ")
    assert {"authorization", "content-type"} <= set(allowed)
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_a_page_may_read_the_headers_that_matter(apps: tuple[Flask, Flask]) -> None:
    headers = apps[0].test_client().get("/healthz", headers={"Origin": NAMED}).headers
    assert {"X-Request-ID", "Retry-After"} <= set(headers["Access-Control-Expose-Headers"].split(", "))
    assert "Origin" in headers["Vary"]


@pytest.mark.parametrize(("proxies", "address"), [(0, "127.0.0.1"), (1, "10.0.0.2"), (2, "10.0.0.1")])
def test_only_trusted_proxies_are_believed(proxies: int, address: str) -> None:
    from flask import request

    app = create_app(settings().model_copy(update={"trusted_proxies": proxies}))
    app.add_url_rule("/address", view_func=lambda: request.remote_addr or "")
    headers = {"X-Forwarded-For": "10.0.0.1, 10.0.0.2"}
    assert app.test_client().get("/address", headers=headers).text == address
