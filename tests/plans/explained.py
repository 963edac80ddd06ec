"""How a database carries out what a sync asks of it: the statements as they were sent, with the rows that each looked at.

PostgreSQL tells it by `auto_explain`, MariaDB by `EXPLAIN` on the connection that sends the statement.
"""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

import psycopg
import pymysql
import pytest

from tests import servers

_SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_analyze": "on",
    "auto_explain.log_timing": "off",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
    "auto_explain.log_level": "notice",
    "client_min_messages": "notice",
}


@dataclass(frozen=True)
class Asked:
    """One statement.

    Args:
        sql: Its text.
        looked_at: How many rows of each table it has looked at, those that it left out too.
        whole: The tables that it read from their beginning to their end.
    """

    sql: str
    looked_at: dict[str, int]
    whole: frozenset[str]

    def __str__(self) -> str:
        return f"{self.looked_at}, {sorted(self.whole)} in whole: {self.sql}"


class Statements(list[Asked]):
    """The statements so far."""

    def of(self, table: str) -> list[Asked]:
        """Return those that looked at a table."""
        return [one for one in self if table in one.looked_at]

    def taken(self) -> "Statements":
        """Return them, and forget them."""
        taken = Statements(self)
        self.clear()
        return taken


@contextmanager
def in_postgres(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[str, Statements]]:
    """Yield a URL, and the statements of all connections that are made by it."""
    statements = Statements()

    def hear(diagnostic: psycopg.errors.Diagnostic) -> None:
        _, found, plan = (diagnostic.message_primary or "").partition("plan:\n")
        if found:
            told = json.loads(plan)
            statements.append(_asked(told["Query Text"], told["Plan"]))

    connect = psycopg.Connection.connect

    def connected(*given: Any, **options: Any) -> Any:
        connection = connect(*given, **options)
        connection.add_notice_handler(hear)
        return connection

    monkeypatch.setattr(psycopg.Connection, "connect", connected)
    monkeypatch.setattr(psycopg, "connect", connected)
    options = " ".join(f"-c {name}={value}" for name, value in _SETTINGS.items())
    url = servers.POSTGRES.replace("postgresql+psycopg://", "postgresql://")
    url += ("&" if "?" in url else "?") + f"options={quote(options)}"
    try:
        connect(url).close()
    except psycopg.Error as error:
        pytest.skip(f"auto_explain cannot be loaded: {error}")
    yield url, statements


def _asked(sql: str, plan: dict[str, Any]) -> Asked:
    looked_at: dict[str, int] = {}
    whole = set()
    for node in _nodes(plan):
        table = node.get("Relation Name")
        if table is None or node["Node Type"] == "ModifyTable":
            continue
        removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        rows = node["Actual Rows"] + sum(node.get(name, 0) for name in removed)
        looked_at[table] = looked_at.get(table, 0) + round(rows * node["Actual Loops"])
        if node["Node Type"] == "Seq Scan":
            whole.add(table)
    return Asked(" ".join(sql.split()), looked_at, frozenset(whole))


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for one in plan.get("Plans", ()):
        yield from _nodes(one)


_EXPLAINED = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|REPLACE)\b", re.IGNORECASE)


@contextmanager
def in_mysql(monkeypatch: pytest.MonkeyPatch) -> Iterator[Statements]:
    """Yield the statements of all connections that are made from now on.

    MariaDB tells the rows that a SELECT has looked at, for which it is carried out twice. Of other statements, and by
    MySQL, they are the server's estimates.
    """
    statements = Statements()
    query = pymysql.connections.Connection.query

    def answer(connection: Any, sql: str) -> list[dict[str, Any]]:
        try:
            query(connection, sql)
        except pymysql.Error:
            return []  # not explained by this server, as a SELECT without a table
        names = [field.name.lower() for field in connection._result.fields]
        return [dict(zip(names, row, strict=True)) for row in connection._result.rows]

    def explained(self: Any, sql: Any, unbuffered: Any = None) -> Any:
        text = sql if isinstance(sql, str) else sql.decode("utf-8", "surrogateescape")
        kind = _EXPLAINED.match(text)
        if kind:
            steps = answer(self, f"ANALYZE {text}") if kind[1].upper() == "SELECT" else []
            statements.append(_of_mysql(text, steps or answer(self, f"EXPLAIN {text}")))
        return query(self, sql, bool(unbuffered))

    monkeypatch.setattr(pymysql.connections.Connection, "query", explained)
    yield statements


def _of_mysql(sql: str, steps: list[dict[str, Any]]) -> Asked:
    looked_at: dict[str, int] = {}
    whole = set()
    for step in steps:
        if step["table"] is None:
            continue
        table = step["table"]
        rows = step.get("r_rows") or step["rows"] or 0
        looked_at[table] = looked_at.get(table, 0) + round(float(rows))
        if step["type"] in {"ALL", "index"}:
            whole.add(table)
    return Asked(" ".join(sql.split()), looked_at, frozenset(whole))
