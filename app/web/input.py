"""Reading what clients send: typed, strict, bounded; every refusal names the field."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from flask import request
from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from werkzeug.exceptions import HTTPException

from app.errors import FieldError, MalformedRequest, TooLarge, UnsupportedMediaType, ValidationFailed
from app.web.body import deadline

LARGEST_ID = 2**53 - 1

_MOST_PROBLEMS = 20
_LONGEST_FIELD = 100
_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
# What the JSON parser says of a lone surrogate in the midst of a string, and at its end.
_LONE_SURROGATE = ("surrogate", "unexpected end of hex escape")

Model = TypeVar("Model", bound=BaseModel)

Id = Annotated[int, Field(ge=1, le=LARGEST_ID)]
"""An id of a row: a positive JSON integer that JavaScript keeps exact."""


def _clean(text: str) -> str:
    """Refuses what PostgreSQL cannot store; the text itself is kept as sent."""
    if "\0" in text:
        raise ValueError("must not contain NUL characters")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must not contain lone surrogates") from None
    return text


Text = Annotated[str, AfterValidator(_clean)]
"""Text that can be stored: no NUL, no lone surrogates."""


def _written_as_rfc_3339(value: Any) -> Any:
    """Keeps numbers and dates out, which would be taken for times as well."""
    if not isinstance(value, str) or not _RFC_3339.fullmatch(value):
        raise ValueError("must be a time as 2026-11-22T10:02:00Z")
    return value


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError("is not a time that a calendar has") from None


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written_as_rfc_3339), AfterValidator(_in_utc)]
"""A time (RFC 3339), in UTC."""


class Body(BaseModel):
    """The root of JSON bodies and frame data: strict types, no unknown fields."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


class Query(BaseModel):
    """The root of query strings: text becomes numbers and booleans, unknown names are refused."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class Headers(BaseModel):
    """The root of what is read from headers, whose names are the fields' aliases; others are not looked at."""

    model_config = ConfigDict(extra="ignore", hide_input_in_errors=True)


class Page(Query):
    """`limit` and `cursor` of a list."""

    limit: Annotated[int, Field(ge=1, le=100)] = 50
    cursor: Annotated[Text, Field(max_length=512)] | None = None


def read_body(model: type[Model]) -> Model:
    """The request's JSON body as `model`; raises UnsupportedMediaType, TooLarge, MalformedRequest or
    ValidationFailed.
    """
    raw = _raw_body()
    if raw and (request.mimetype != "application/json" or "HTTP_CONTENT_ENCODING" in request.environ):
        raise UnsupportedMediaType
    return parse(model, raw or b"{}")


def _raw_body() -> bytes:
    try:
        with deadline():
            raw = request.get_data(cache=False)
    except HTTPException:
        raise
    except Exception as error:  # Each server has its own kinds of errors for broken chunks and lost connections.
        raise MalformedRequest("The body could not be read.") from error
    # Werkzeug cuts a chunked body off at the limit without a word.
    if request.content_length is None and len(raw) >= (request.max_content_length or len(raw) + 1):
        raise TooLarge
    return raw


def parse(model: type[Model], raw: bytes | str) -> Model:
    """JSON text as `model`; raises MalformedRequest or ValidationFailed."""
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise refusal(error) from None


def read_query(model: type[Model]) -> Model:
    """The request's query string as `model`; a name given twice is refused unless the field is a list."""
    if not request.query_string:
        return _validated(model, {})
    values: dict[str, Any] = {}
    for name, given in request.args.lists():
        if len(given) > 1:
            raise ValidationFailed(errors=[{"field": name, "message": "given more than once"}])
        values[name] = given[0]
    return _validated(model, values)


def _validated(model: type[Model], values: dict[str, Any]) -> Model:
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise refusal(error) from None


def read_headers(model: type[Model]) -> Model:
    """The headers that `model` names; raises ValidationFailed."""
    names = [field.alias or name for name, field in model.model_fields.items()]
    try:
        return model.model_validate({name: request.headers[name] for name in names if name in request.headers})
    except ValidationError as error:
        raise refusal(error) from None


def refusal(error: ValidationError) -> MalformedRequest | ValidationFailed:
    """What to tell of a failed validation; never repeats the input, which may hold a password."""
    if error.error_count() > _MOST_PROBLEMS:
        # A long list of wrong items must not become a far longer answer.
        return ValidationFailed(errors=[{"field": "", "message": f"{error.error_count()} values are not valid"}])
    problems: list[FieldError] = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False):
        message = problem["msg"].removeprefix("Value error, ")
        if problem["type"] == "json_invalid":
            if not any(words in message for words in _LONE_SURROGATE):
                return MalformedRequest(message)
            message = "must not contain lone surrogates"
        field = ".".join(str(part) for part in problem["loc"])
        problems.append({"field": field[:_LONGEST_FIELD], "message": message})
    return ValidationFailed(errors=problems)
