"""The documentation: pages that work offline, and the documents they show, made from the code at first use."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from html import escape
from pathlib import Path

import orjson
from flask import Blueprint, Response, redirect, request, send_from_directory
from werkzeug.wrappers import Response as AnyResponse

from app.web.errors import error_kinds
from app.web.schemas import Schema

_STATIC = Path(__file__).parent / "static"

# Nothing from elsewhere and no script but our files; Swagger UI and the AsyncAPI page set styles of elements.
_POLICY = (
    "default-src 'none'; script-src 'self'{scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " connect-src 'self'; font-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<link rel="icon" type="image/png" href="/docs/static/swagger-ui/favicon-32x32.png">
{head}
<link rel="stylesheet" href="/docs/static/docs/page.css">
</head>
<body>
<nav><strong>Paperplane</strong> <a href="/docs">REST</a> <a href="/docs/events">Events</a>
<a href="/docs/errors">Errors</a> <a href="/openapi.json">openapi.json</a>
<a href="/asyncapi.json">asyncapi.json</a></nav>
{body}
</body>
</html>
"""


def documentation(openapi: Callable[[], Schema], asyncapi: Callable[[], Schema]) -> Blueprint:
    """The blueprint of all documentation; the two documents are made when first asked for, then kept."""
    blueprint = Blueprint("documentation", __name__)
    rest, events = _kept(openapi), _kept(asyncapi)

    @blueprint.get("/")
    def home() -> AnyResponse:
        return redirect("/docs")

    @blueprint.get("/openapi.json")
    def openapi_document() -> Response:
        return _document(rest())

    @blueprint.get("/asyncapi.json")
    def asyncapi_document() -> Response:
        return _document(events())

    @blueprint.get("/docs")
    def rest_page() -> Response:
        return _page("Paperplane REST", "swagger-ui/swagger-ui", '<div id="swagger-ui"></div>', "rest")

    @blueprint.get("/docs/events")
    def events_page() -> Response:
        # The validator within the AsyncAPI component compiles schemas to functions.
        return _page("Paperplane events", "asyncapi/asyncapi", '<div id="asyncapi"></div>', "events", " 'unsafe-eval'")

    @blueprint.get("/docs/errors")
    def errors_page() -> Response:
        return _html(_PAGE.format(title="Paperplane errors", head="", body=_error_table()))

    @blueprint.get("/docs/static/<path:name>")
    def static_file(name: str) -> AnyResponse:
        response = send_from_directory(_STATIC, name, max_age=3600)
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return blueprint


def _kept(make: Callable[[], Schema]) -> Callable[[], bytes]:
    return lru_cache(maxsize=1)(lambda: orjson.dumps(make()))


def _document(content: bytes) -> Response:
    response = Response(content, content_type="application/json")
    response.add_etag()
    response.make_conditional(request)
    return response


def _page(title: str, vendored: str, body: str, script: str, scripts: str = "") -> Response:
    head = (
        f'<link rel="stylesheet" href="/docs/static/{vendored}.css">\n'
        f'<script src="/docs/static/{vendored}{"-bundle" if "swagger" in vendored else ""}.js" defer></script>\n'
        f'<script src="/docs/static/docs/{script}.js" defer></script>'
    )
    return _html(_PAGE.format(title=title, head=head, body=body), scripts)


def _html(page: str, scripts: str = "") -> Response:
    response = Response(page, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = _POLICY.format(scripts=scripts)
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def _error_table() -> str:
    rows = "\n".join(
        f'<tr id="{kind.code}"><td><code>{kind.code}</code></td><td>{kind.status}</td>'
        f"<td>{escape((kind.__doc__ or '').strip())}</td><td>{escape(kind.detail)}</td></tr>"
        for kind in error_kinds()
    )
    heads = "<tr><th>code</th><th>status</th><th>when</th><th>detail, unless there is more to say</th></tr>"
    return f"<main><h1>Errors</h1><table>{heads}\n{rows}</table></main>"
