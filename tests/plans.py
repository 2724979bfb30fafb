"""The plans that connections keep for prepared statements, and what these touch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from app.infra.db import Prepared, UnitOfWork, raw_cursor


def nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """A plan's node and all below it."""
    yield plan
    for part in plan.get("Plans", []):
        yield from nodes(part)


def explain(unit: UnitOfWork, statement: Prepared, *parameters: object) -> list[dict[str, Any]]:
    """The nodes of the plan that PostgreSQL keeps for the statement, executed once."""
    with raw_cursor(unit.connection) as (cursor, known):
        statement.prepare(cursor, known)
        cursor.execute(
            statement.execute_sql.replace("EXECUTE", "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) EXECUTE"), parameters
        )
        row = cursor.fetchone()
    assert row is not None
    return list(nodes(row[0][0]["Plan"]))


def assert_reads_little(plan: list[dict[str, Any]], most_rows: int) -> None:
    """No node touches more rows than that, and no table is read whole."""
    for node in plan:
        assert node["Node Type"] != "Seq Scan", node
        touched = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        assert touched * node["Actual Loops"] <= most_rows, node


def most_touched(found: list[dict[str, Any]]) -> float:
    """The most rows that any of the nodes touched; no table is read whole."""
    whole = [node["Relation Name"] for node in found if node["Node Type"] == "Seq Scan"]
    assert not whole, whole
    rows = ((node["Actual Rows"] + node.get("Rows Removed by Filter", 0)) * node["Actual Loops"] for node in found)
    return float(max(rows))


def touched(unit: UnitOfWork, statement: Prepared, *parameters: object) -> float:
    """The most rows that any node of the statement's kept plan touched, executed once; no table is read whole."""
    return most_touched(explain(unit, statement, *parameters))
