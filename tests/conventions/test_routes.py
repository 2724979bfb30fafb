"""What must hold of every route and frame, also of those that do not exist yet."""

from __future__ import annotations

from flask import Flask

from app.realtime.frames import CLIENT_FRAMES, SERVER_EVENTS
from app.web.endpoint import Operation

# Open to everybody, on purpose. Whoever adds to this list says why.
PUBLIC = {
    "auth.register",  # Signing up and in: there is no token yet.
    "auth.verify",
    "auth.send_code",
    "auth.login",
    "auth.refresh",  # Proven by the refresh token.
    "auth.forgot_password",  # Proven by a code.
    "auth.reset_password",
    "tus.describe",  # What the server can; browsers ask it before they may send a token.
    "tus.describe_upload",
}
# Take a signed link to one file as well, whose viewer must have a session that lives.
BY_LINK = {"files.download"}
# Asks PostgreSQL about the session in its own statement.
CHECKS_SESSION_ITSELF = {"messages.send_message"}
# Pages and probes without data of anybody; the socket authenticates in its handshake.
WITHOUT_DECLARATION = {"documentation", "health", "metrics", "realtime"}


def operations(app: Flask) -> dict[str, Operation]:
    found = {}
    for endpoint, view in app.view_functions.items():
        declared = getattr(view, "operation", None)
        if declared is None:
            assert endpoint.split(".")[0] in WITHOUT_DECLARATION, f"{endpoint} is not declared by @operation"
        else:
            found[endpoint] = declared
    return found


def test_every_route_asks_whether_its_session_lives_unless_listed_here(app: Flask) -> None:
    declared = operations(app)
    assert {name for name, o in declared.items() if o.authentication == "none"} == PUBLIC
    assert {name for name, o in declared.items() if o.authentication == "token"} == CHECKS_SESSION_ITSELF
    assert {name for name, o in declared.items() if o.authentication == "link"} == BY_LINK


def test_every_route_and_frame_says_what_it_does(app: Flask) -> None:
    for name, declared in operations(app).items():
        assert (declared.handler.__doc__ or "").strip(), name
    for kind, frame in CLIENT_FRAMES.items():
        assert frame.summary, kind
    for event, spec in SERVER_EVENTS.items():
        assert spec.summary, event
