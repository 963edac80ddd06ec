"""A merge of staged rows in MySQL and MariaDB."""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from typing import Any

from etl_assets.destinations.database.sql_transaction import (
    STAGED,
    column_list,
    unless_newer,
    with_marks,
)
from etl_assets.naming import quote

ARRIVAL = "_etl_assets_arrival"
_KEPT = "_etl_assets_kept"


class Merge:
    """Merges the rows of the temporary table `STAGED`, which have their order of `ARRIVAL`.

    Args:
        connection: The connection of PyMySQL in whose session they are staged.
        target: The table they go into, quoted.
        names: The columns of the rows.
        keys: The columns that tell one row from another.
        folded: Columns by whose collation different texts are equal, in tables that others have
            made. They are compared by their bytes all the same, since `A` in the place of `a` is a
            change, or another row.
        about: Columns in which a difference alone does not make a row a changed one.
    """

    def __init__(
        self,
        connection: Any,
        target: str,
        names: Sequence[str],
        keys: Sequence[str],
        folded: AbstractSet[str],
        *,
        about: Sequence[str] = (),
    ) -> None:
        self._about = about
        self._connection = connection
        self._target = target
        self._names = names
        self._keys = keys
        self._folded = folded

    def run(
        self,
        own: Sequence[tuple[str, Any]],
        *,
        update: bool,
        unique: bool,
        newer: str | None = None,
    ) -> int:
        """Merge, and return how many rows were inserted or changed.

        Args:
            own: Our own columns and their values.
            update: Whether rows that are there are to be changed.
            unique: Whether it is known that no key comes twice.
            newer: A column: rows that are there and are greater in it are left alone.
        """
        if not unique:
            self._drop_repeated()
        constants = [value for _, value in own]
        same = " AND ".join(self._same(key) for key in self._keys)
        others = [name for name in self._names if name not in self._keys]
        written = 0
        compared = [name for name in others if name not in self._about]
        if update and compared:
            # A row that came again as it was is left alone: it keeps its load id, and what is
            # downstream stays fresh.
            differs = " OR ".join(
                f"NOT ({self._exact('t', name)} <=> {self._exact('s', name)})" for name in compared
            )
            settings = [f"t.{quote(name)} = s.{quote(name)}" for name in others]
            settings += [f"t.{quote(name)} = ?" for name, _ in own]
            sql = (
                f"UPDATE {self._target} t JOIN {STAGED} s ON {same} "
                f"SET {', '.join(settings)} WHERE {unless_newer(differs, newer)}"
            )
            written = run(self._connection, sql, constants)[1]
        into = column_list([*self._names, *(name for name, _ in own)])
        marks = "".join(", ?" for _ in own)
        sql = (
            f"INSERT INTO {self._target} ({into}) "
            f"SELECT {column_list(self._names, 's.')}{marks} FROM {STAGED} s "
            f"LEFT JOIN {self._target} t ON {same} WHERE t.{quote(self._keys[0])} IS NULL"
        )
        return written + run(self._connection, sql, constants)[1]

    def _drop_repeated(self) -> None:
        """Delete all staged rows but the last arrival of each key."""
        by = ", ".join(self._exact("s", key) for key in self._keys)
        repeats = f"SELECT 1 FROM {STAGED} s GROUP BY {by} HAVING COUNT(*) > 1 LIMIT 1"
        if not run(self._connection, repeats, ())[0]:
            return
        # MySQL cannot open a temporary table twice in one statement.
        last = f"SELECT MAX({ARRIVAL}) a FROM {STAGED} s GROUP BY {by}"
        run(self._connection, f"CREATE TEMPORARY TABLE {_KEPT} {last}", ())
        gone = (
            f"DELETE s FROM {STAGED} s LEFT JOIN {_KEPT} k ON k.a = s.{ARRIVAL} WHERE k.a IS NULL"
        )
        run(self._connection, gone, ())
        run(self._connection, f"DROP TEMPORARY TABLE {_KEPT}", ())

    def _same(self, key: str) -> str:
        same = f"t.{quote(key)} = s.{quote(key)}"  # By this the index is found.
        if key not in self._folded:
            return same
        return f"{same} AND {self._exact('t', key)} = {self._exact('s', key)}"

    def _exact(self, table: str, name: str) -> str:
        column = f"{table}.{quote(name)}"
        return f"CAST({column} AS BINARY)" if name in self._folded else column


def run(connection: Any, sql: str, parameters: Sequence[Any]) -> tuple[list[tuple[Any, ...]], int]:
    """Run a statement, and return the rows that it found and how many it wrote."""
    with connection.cursor() as cursor:
        if parameters:
            written = cursor.execute(with_marks(sql, "%s"), list(parameters))
        else:
            # Without parameters PyMySQL takes the statement as it is.
            written = cursor.execute(sql)
        return list(cursor.fetchall()), int(written)
