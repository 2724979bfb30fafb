"""The WebSocket door: `/ws`, from the handshake to the last frame."""

from __future__ import annotations

import codecs
import threading
from typing import Any

import structlog
from flask import Blueprint, Flask, Response, current_app, request
from flask.ctx import AppContext
from flask_sock import Sock
from simple_websocket import Server
from wsproto.utilities import ProtocolError

from app.auth.service import authenticate_socket
from app.errors import AppError, Forbidden, MalformedRequest, RateLimited, Unauthenticated
from app.realtime import gateway
from app.realtime.connection import Connection
from app.realtime.gateway import FrameAllowance
from app.realtime.hub import hub, lives
from app.realtime.turns import opening_in_turn
from app.realtime.wire import CloseCode
from app.web.errors import problem
from app.web.origins import is_allowed_origin
from config import settings

log = structlog.get_logger(__name__)

# wsproto reads hosts by it. Python loads it at its first use, and then no descriptor may be left to open its file.
codecs.lookup("idna")

blueprint = Blueprint("realtime", __name__)
_sock = Sock()


class _NoThread(threading.Thread):
    """simple-websocket reads in a thread of its own; ours reads in the handler, which saves a thread a socket."""

    def start(self) -> None:
        """Does not start."""


@blueprint.before_request
def _check_handshake() -> None:
    """Refuses foreign browsers before the handshake, and takes compression off the table (it costs 100 KB a socket)."""
    origin = request.headers.get("Origin")
    if origin is not None and not is_allowed_origin(settings(), origin):
        raise Forbidden("This Origin may not open a socket: see ALLOWED_ORIGINS.")
    if "Sec-WebSocket-Key" not in request.headers:
        raise MalformedRequest("A WebSocket handshake needs Sec-WebSocket-Key.")
    if not request.headers.get("Sec-WebSocket-Protocol", "").isascii():
        raise MalformedRequest("Sec-WebSocket-Protocol holds ASCII only.")
    request.environ.pop("HTTP_SEC_WEBSOCKET_EXTENSIONS", None)


@blueprint.errorhandler(ProtocolError)
def _bad_handshake(error: ProtocolError) -> Response:  # noqa: ARG001
    """Answers a handshake that RFC 6455 does not admit: another version, an impossible header."""
    response = problem(MalformedRequest("This is no handshake of WebSocket version 13."))
    response.headers["Sec-WebSocket-Version"] = "13"
    return response


@_sock.route("/ws", bp=blueprint)  # type: ignore[untyped-decorator]
def websocket(server: Server) -> None:
    """The handshake of one socket, whose life then goes on in a greenlet of its own.

    What a request holds while it lasts (its stack, its environ, the parsers of HTTP) would cost each idle socket as
    much as all the rest of it. gunicorn closes its own descriptor of the socket when the request ends.
    """
    # gunicorn counts a socket no more once its request has ended: those that wait for their turn or close count too.
    if len(lives) >= settings().web_connections:
        server.close(CloseCode.RESTARTING, "this process holds as many sockets as it may")
        return
    # From here on the frames are ours: flask-sock must not write one of its own.
    server.connected = False
    try:
        connection = Connection(server.sock.dup())
    except OSError as error:
        # No descriptor is left. Out of here Flask would write an HTTP 500 into the WebSocket stream.
        log.warning("socket_not_taken", error=str(error))
        return
    lives.spawn(_live, current_app.app_context(), connection, _token(), structlog.contextvars.get_contextvars())


def _token() -> str:
    """The token of `?token=`, or of `Sec-WebSocket-Protocol: bearer, <token>`; empty without one."""
    offered = [part.strip() for part in request.headers.get("Sec-WebSocket-Protocol", "").split(",")]
    if len(offered) == 2 and offered[0] == "bearer":
        return offered[1]
    return request.args.get("token", "")


def _close_code(error: AppError) -> CloseCode:
    """4401 asks the client for a good token; all else (PostgreSQL is away) to come again."""
    if isinstance(error, RateLimited):
        return CloseCode.TOO_MANY
    return CloseCode.UNAUTHENTICATED if isinstance(error, Unauthenticated) else CloseCode.RESTARTING


def _live(app_context: AppContext, connection: Connection, token: str, log_context: dict[str, Any]) -> None:
    """The life of one socket, from its token to its end."""
    structlog.contextvars.bind_contextvars(**log_context)
    try:
        with app_context:
            with opening_in_turn():
                connection.caller = authenticate_socket(token)
                hub().connect(connection)
            _serve(connection)
    except AppError as error:
        connection.close(_close_code(error), error.code)
    except Exception:
        log.exception("socket_failed", user_id=connection.user_id)
        connection.close(CloseCode.INTERNAL_ERROR, "internal error")
    finally:
        hub().disconnect(connection)
        connection.wait_closed()


def _serve(connection: Connection) -> None:
    # Pings, pongs and parts of messages have an allowance of their own, which no load test turns off: answering them
    # never waits, so a flood of them would keep everybody else from being served.
    messages, others = FrameAllowance(), FrameAllowance(always=True)
    for text in connection.messages(
        int(settings().ws_max_frame_size), lambda is_message: (messages if is_message else others).take()
    ):
        gateway.handle(connection, text)
    if messages.is_spent or others.is_spent:
        connection.send(gateway.too_many_frames())
        connection.close(CloseCode.TOO_MANY, "too many frames")


def init_app(app: Flask) -> None:
    """Mounts `/ws`."""
    options: dict[str, Any] = {"thread_class": _NoThread, "subprotocols": ["bearer"]}
    app.config["SOCK_SERVER_OPTIONS"] = options
    app.register_blueprint(blueprint)
