"""Puts the application together: configuration, the edge, every domain's routes, sockets, documentation."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from flask import Flask, Response, request
from flask_cors import CORS
from flask_jwt_extended import JWTManager
from flask_migrate import Migrate
from werkzeug.middleware.proxy_fix import ProxyFix

from app import models
from app.auth.routes import blueprint as auth
from app.calls.routes import blueprint as calls
from app.chats.common_routes import blueprint as common_chats
from app.chats.member_routes import blueprint as members
from app.chats.routes import blueprint as chats
from app.contacts.routes import blueprint as contacts
from app.files.direct_routes import blueprint as direct_uploads
from app.files.routes import blueprint as files
from app.files.tus_routes import blueprint as tus
from app.infra.logging import configure_logging
from app.messages.receipt_routes import blueprint as receipts
from app.messages.routes import blueprint as messages
from app.realtime import routes as realtime
from app.realtime.frames import CLIENT_FRAMES, SERVER_EVENTS
from app.search.routes import blueprint as search
from app.sync.routes import blueprint as sync
from app.users.routes import blueprint as users
from app.web import asyncapi, health, metrics, openapi
from app.web.documentation import documentation
from app.web.edge import Application, Edge
from app.web.errors import register_errors
from app.web.origins import allowed_origins
from app.web.paths import IdConverter
from app.web.schemas import Schema
from config import Settings, settings

# Every domain's routes; each is mounted below /api.
BLUEPRINTS = (
    auth,
    users,
    contacts,
    files,
    tus,
    direct_uploads,
    chats,
    members,
    common_chats,
    messages,
    receipts,
    search,
    calls,
    sync,
)

# What pages of other origins may send, and may read of answers.
_READ_HEADERS = ("Authorization", "Content-Type", "X-Request-ID", "Range", "If-None-Match", "If-Range")
_TOLD_HEADERS = ("X-Request-ID", "Retry-After", "ETag", "Accept-Ranges", "Content-Range", "Content-Disposition")
_TUS_HEADERS = ("Tus-Resumable", "Upload-Length", "Upload-Offset", "Upload-Metadata")

_MIGRATIONS = Path(__file__).parents[1] / "migrations"


def create_app(current: Settings | None = None) -> Flask:
    """A new application; `current` are the settings of this process unless others are given."""
    current = current or settings()
    configure_logging(current)
    app = Application("app", static_folder=None)
    _configure(app, current)
    register_errors(app)
    for blueprint in BLUEPRINTS:
        app.register_blueprint(blueprint, url_prefix=f"/api{blueprint.url_prefix or ''}")
    realtime.init_app(app)
    app.register_blueprint(health.blueprint)
    app.register_blueprint(metrics.blueprint)
    app.register_blueprint(documentation(lambda: openapi.document(app), _events))
    metrics.announce_build()
    return app


def _events() -> Schema:
    return asyncapi.document(CLIENT_FRAMES, SERVER_EVENTS)


def _configure(app: Flask, current: Settings) -> None:
    app.config.update(
        JWT_SECRET_KEY=current.signing_secret,
        JWT_ALGORITHM="HS256",
        JWT_TOKEN_LOCATION=["headers"],
        JWT_COOKIE_CSRF_PROTECT=False,
        # The clocks of several API hosts may differ by seconds.
        JWT_ENCODE_NBF=False,
        JWT_DECODE_LEEWAY=5,
        JWT_ACCESS_TOKEN_EXPIRES=timedelta(seconds=current.jwt_expiry),
        JWT_REFRESH_TOKEN_EXPIRES=timedelta(seconds=current.jwt_refresh_expiry),
        MAX_CONTENT_LENGTH=int(current.max_body_size),
    )
    app.url_map.converters["int"] = IdConverter
    # Otherwise //api//chats is answered with a redirect, which loses bodies.
    app.url_map.merge_slashes = False
    JWTManager(app)
    Migrate(app, models, directory=str(_MIGRATIONS))  # type: ignore[arg-type]
    _allow_browsers(app, current)
    if current.trusted_proxies:
        count = current.trusted_proxies
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=count, x_proto=count, x_host=count)  # type: ignore[method-assign]
    app.wsgi_app = Edge(app.wsgi_app)  # type: ignore[method-assign]


def _allow_browsers(app: Flask, current: Settings) -> None:
    CORS(
        app,
        origins=allowed_origins(current),
        allow_headers=[*_READ_HEADERS, *_TUS_HEADERS, "Upload-Checksum"],
        expose_headers=[*_TOLD_HEADERS, *_TUS_HEADERS, "Upload-Expires", "Location"],
        max_age=86400,
        always_send=False,
        # The error handlers' answers pass after_request like all others.
        intercept_exceptions=False,
    )
    decorate = app.after_request_funcs[None].pop()

    @app.after_request
    def for_browsers(response: Response) -> Response:
        """Spares everybody else what CORS costs a request."""
        return decorate(response) if "HTTP_ORIGIN" in request.environ else response  # type: ignore[return-value]
