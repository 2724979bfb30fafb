"""What each statement of the application touches, by the plans that its own connections keep.

`with explained_statements() as statements:` executes every statement that this process sends once more beforehand,
under EXPLAIN (ANALYZE, BUFFERS) in a transaction that is rolled back, and adds it to the list.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from psycopg2 import extensions

from app.infra.db import engine
from tests.cursors import cursors_of

_EXPLAIN = "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) "
_EXPLAINABLE = ("EXECUTE", "SELECT", "WITH", "INSERT", "UPDATE", "DELETE")


@dataclass(frozen=True, slots=True)
class Explained:
    """One statement as it was executed."""

    name: str
    """Of a prepared statement; else its first words."""
    plan: dict[str, Any] = field(repr=False)

    @property
    def nodes(self) -> list[dict[str, Any]]:
        """Every node of the plan."""
        return list(_nodes(self.plan))

    @property
    def read_whole(self) -> set[str]:
        """The tables that were read from one end to the other, in their own order or along an index."""
        return {node["Relation Name"] for node in self.nodes if _reads_all(node) and node["Actual Loops"] > 0}

    @property
    def would_read_whole(self) -> set[str]:
        """The tables that would be, where the plan came to them: those of other parts of the same statement, too."""
        return {node["Relation Name"] for node in self.nodes if _reads_all(node)}

    @property
    def rows(self) -> int:
        """Rows that were read from tables and indexes, those among them that no condition let pass."""
        return round(sum(_scanned(node) for node in self.nodes))

    @property
    def scans(self) -> str:
        """Where rows were read and how many, a line each, for a test that fails."""
        read = [node for node in self.nodes if _scanned(node)]
        return "\n".join(
            f"{round(_scanned(node))}: {node['Node Type']} {node['Relation Name']} {node.get('Index Name', '')}"
            for node in read
        )

    @property
    def written(self) -> int:
        """Rows that were inserted, updated or deleted."""
        changes = [node for node in self.nodes if node["Node Type"] == "ModifyTable"]
        sources = [part for node in changes for part in node["Plans"] if part["Parent Relationship"] == "Outer"]
        return sum(round(source["Actual Rows"] * source["Actual Loops"]) for source in sources)

    @property
    def blocks(self) -> int:
        """Blocks that were looked at, in memory or not: what an index is searched through shows only here."""
        return int(self.plan["Shared Hit Blocks"] + self.plan["Shared Read Blocks"])


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for part in plan.get("Plans", []):
        yield from _nodes(part)


def _reads_all(node: dict[str, Any]) -> bool:
    is_scan = node["Node Type"] in ("Seq Scan", "Index Scan", "Index Only Scan")
    return is_scan and "Index Cond" not in node


def _scanned(node: dict[str, Any]) -> float:
    # A bitmap of an index counts rows that the scan of the table above it counts again.
    if "Relation Name" not in node or node["Node Type"] == "ModifyTable":
        return 0.0
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float((node["Actual Rows"] + removed) * node["Actual Loops"])


_lists: list[list[Explained]] = []


class _ExplainingCursor(extensions.cursor):
    """The driver's cursor, explaining what it is about to execute."""

    def execute(self, query: Any, parameters: Any = None) -> None:
        text = query.decode() if isinstance(query, bytes) else str(query)
        if _lists and text.lstrip().startswith((*_EXPLAINABLE, "SET LOCAL")):
            self._explain(text, parameters)
        super().execute(query, parameters)

    def _explain(self, text: str, parameters: Any) -> None:
        """Explains the statements of one message, each in the state that those before it leave."""
        autocommit = self.connection.autocommit
        super().execute("BEGIN" if autocommit else "SAVEPOINT explaining")
        for statement, own in _parts(text, parameters):
            if statement.startswith(_EXPLAINABLE):
                super().execute(_EXPLAIN + statement, own)
                row = self.fetchone()
                assert row is not None
                for statements in _lists:
                    statements.append(Explained(_name(statement), row[0][0]["Plan"]))
            else:
                super().execute(statement, own)
        super().execute("ROLLBACK" if autocommit else "ROLLBACK TO SAVEPOINT explaining")


def _parts(text: str, parameters: Any) -> Iterator[tuple[str, Any]]:
    """The statements of one message, each with its share of the parameters; text never stands in them literally."""
    statements = [part.strip() for part in text.split("; ")]
    if not isinstance(parameters, Sequence):
        yield from ((statement, parameters) for statement in statements)
        return
    begin = 0
    for statement in statements:
        end = begin + statement.count("%s")
        yield statement, parameters[begin:end]
        begin = end


def _name(statement: str) -> str:
    words = statement.split()
    return words[1] if words[0] == "EXECUTE" else " ".join(words[:3])


@contextmanager
def explained_statements() -> Iterator[list[Explained]]:
    """The statements sent by all threads of this process while the block runs, in their order."""
    statements: list[Explained] = []

    with cursors_of(engine(), _ExplainingCursor):
        _lists.append(statements)
        try:
            yield statements
        finally:
            _lists.remove(statements)
