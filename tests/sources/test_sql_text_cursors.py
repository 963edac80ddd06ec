"""A text as a replication key: followed in the order of code points, whatever the collation of its column."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from etl_assets import DuckDBDestination
from etl_assets.exceptions import ConfigError
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sources.sql.cursor import comparable
from etl_assets.sources.sql.reflection import SqlColumn
from etl_assets.sources.sql.types import SqlType
from etl_assets.sync import sync
from tests.sources.sql_databases import KINDS, Database, database

WORDS = sorted(["", "10", "9", "B", "a", "a\tb", "a b", "ä", "😀"])

COLLATIONS = {
    "sqlite": ["", "COLLATE NOCASE", "COLLATE RTRIM"],
    "postgresql": [
        "",
        'COLLATE "C"',
        'COLLATE "und-x-icu"',
        "COLLATE folded",
        'COLLATE "en_US.utf8"',
    ],
    "mysql": [
        "CHARACTER SET utf8mb4",
        "CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
        "CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci",
        "CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    ],
}


@pytest.fixture(params=KINDS)
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with database(request.param, tmp_path) as opened:
        yield opened


def test_each_row_is_read_once_in_any_collation(made: Database, tmp_path: Path) -> None:
    for number, collation in enumerate(COLLATIONS[made.kind]):
        try:
            if "folded" in collation:
                made.run(
                    "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
                )
            made.run(
                f"CREATE TABLE t{number} (id integer PRIMARY KEY, word varchar(50) {collation} NOT NULL)"
            )
        except sa.exc.DBAPIError:
            continue  # this server has no such collation
        stream = Stream(f"t{number}", primary_key="id", replication_key="word")
        warehouse = DuckDBDestination(str(tmp_path / "w.duckdb"))
        for step, word in enumerate(WORDS):
            made.insert(f"t{number}", [(step, word)])
            result = sync(StreamRead(made.source(), stream), warehouse)
            assert result.bookmark == {"word": word}, collation
        held = warehouse.read_table(warehouse.table_for("shop", stream)).to_pylist()
        assert sorted((row["id"], row["word"]) for row in held) == list(enumerate(WORDS)), collation
        at_once = sync(
            StreamRead(made.source(), stream, source_name="once"), warehouse, checkpoint_bytes=1
        )
        assert (at_once.records_read, at_once.bookmark) == (len(WORDS), {"word": WORDS[-1]}), (
            collation
        )


@pytest.mark.parametrize("dialect", ["mssql", "unheard-of"])
def test_an_order_that_nobody_knows_is_refused(dialect: str) -> None:
    class Opened:
        is_mysql = False

    opened = Opened()
    opened.dialect = dialect  # type: ignore[attr-defined]
    import pyarrow as pa

    type_, word = SqlType("text", pa.string()), sa.column("word", sa.String())
    column = SqlColumn("word", type_, sa.String(), nullable=False, comment=None, expression=word)
    with pytest.raises(ConfigError, match="has no order that a bookmark could follow"):
        comparable(opened, column, stream="t")  # type: ignore[arg-type]
