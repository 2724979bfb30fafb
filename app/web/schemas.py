"""JSON schemas of what comes in and goes out, gathered as the `components` of a generated document."""

from __future__ import annotations

import typing
from typing import Any, Literal

from pydantic import BaseModel, TypeAdapter

Schema = dict[str, Any]

_REFERENCE = "#/components/schemas/{model}"


class Schemas:
    """The schemas used so far, by name; two shapes under one name are refused."""

    def __init__(self) -> None:
        self.components: dict[str, Schema] = {}

    def received(self, annotation: Any) -> Schema:
        """The schema of what clients send: a reference where it has a name."""
        return self._named(annotation, "validation")

    def answered(self, annotation: Any) -> Schema:
        """The schema of what clients are given: a reference where it has a name."""
        return self._named(annotation, "serialization")

    def fields(self, model: type[BaseModel]) -> list[tuple[str, Schema, bool]]:
        """Name, schema and whether it is needed, of each field of a query string."""
        schema = self._schema(model, "validation")
        needed = schema.get("required", ())
        return [(name, _given(field), name in needed) for name, field in schema["properties"].items()]

    def add(self, name: str, schema: Schema) -> Schema:
        """Names a schema and gives the reference to it; raises ValueError where the name means something else."""
        if self.components.setdefault(name, schema) != schema:
            raise ValueError(f"two different shapes are called {name}")
        return {"$ref": _REFERENCE.format(model=name)}

    def _named(self, annotation: Any, mode: Literal["validation", "serialization"]) -> Schema:
        schema = self._schema(annotation, mode)
        if schema.get("type") != "object" or "title" not in schema:
            return schema
        name = _name(annotation) or schema["title"]
        return self.add(name, schema | {"title": name})

    def _schema(self, annotation: Any, mode: Literal["validation", "serialization"]) -> Schema:
        schema = TypeAdapter(annotation).json_schema(mode=mode, ref_template=_REFERENCE)
        for name, definition in schema.pop("$defs", {}).items():
            self.add(name, definition)
        return schema


def _name(annotation: Any) -> str | None:
    """`ItemPage[Chat]` is called ChatPage; None for what has a name of its own."""
    origin = typing.get_origin(annotation)
    if not isinstance(origin, type):
        return None
    of = "".join(getattr(part, "__name__", "") for part in typing.get_args(annotation))
    return of + origin.__name__.removeprefix("Item")


def _given(field: Schema) -> Schema:
    """A field of a query string: left out instead of null."""
    field = {key: value for key, value in field.items() if key != "title" and (key, value) != ("default", None)}
    choices = [choice for choice in field.get("anyOf", ()) if choice != {"type": "null"}]
    if len(choices) == 1:
        del field["anyOf"]
        field |= choices[0]
    return field
