"""A stream that is a query of the user's.

The database describes the result: its columns, and their types.
"""

from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError
from etl_assets.sources.sql.described import described_types
from etl_assets.sources.sql.reflection import SqlColumn, SqlTable

if TYPE_CHECKING:
    from etl_assets.sources.sql.connection import Snapshot


def table_of_query(snapshot: "Snapshot", name: str, sql: str) -> SqlTable:
    """Return a query as something to select from.

    Args:
        snapshot: The open connection.
        name: The stream's.
        sql: One SELECT statement.

    Raises:
        ConfigError: Two columns of the result have one name, or one has none.
        SourceError: The database does not understand the query.
    """
    import sqlalchemy as sa

    # A colon would be a parameter, and what follows a comment at the end would be part of it.
    text = sa.text(sql.strip().rstrip(";").replace(":", r"\:") + "\n")
    empty: sa.Select[Any] = (
        sa.select(sa.literal_column("*"))
        .select_from(text.columns().subquery("q"))
        .where(sa.false())
    )
    with snapshot.connection.execute(empty) as result:
        described: list[Any] = list(result.cursor.description or ())
    names = [str(one[0]) for one in described]
    twice = {one for one in names if names.count(one) > 1 or not one.strip() or one == "?column?"}
    if twice:
        raise ConfigError(
            f"stream {name!r}: its query gives columns that have no name of their own: "
            f"{', '.join(sorted(twice))}.",
            hint='Name each of them: SELECT price * 2 AS "double".',
            stream=name,
        )
    types = described_types(snapshot, described)
    clause = text.columns(
        *(sa.column(sa.sql.quoted_name(one, quote=True)) for one in names)
    ).subquery("q")
    columns = {
        one: SqlColumn(one, type_, told, nullable=True, comment=None, expression=clause.c[one])
        for one, (type_, told) in zip(names, types, strict=True)
    }
    return SqlTable(name, None, clause, columns)
