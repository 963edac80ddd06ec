"""What a work is, and what works have in common.

Imports nothing of ours, since peers run it in an environment of their own; and nothing large at its
top, since the imports of some works are what is measured.
"""

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol
from urllib.parse import urlsplit

from benchmarks import servers

if TYPE_CHECKING:
    import pyarrow as pa

BATCH = 50_000
CHECK = "SELECT COUNT(*), SUM(id), SUM(LENGTH(name)), SUM(LENGTH(note)), ROUND(SUM(price), 2), SUM(count) FROM t"
BY_HAND, OURS = "by hand", "ours"


class Loaded(Protocol):
    """Where a candidate has loaded a table."""

    def answer(self, query: str) -> list[tuple[Any, ...]]:
        """Answer a query over the table `t`."""

    def types(self) -> dict[str, str]:
        """Return the type of each column, by its name."""


Candidate = Callable[[Path, Any], Callable[[], Any]]
"""Takes the folder and what is given, imports what it needs, and gives what is timed."""


@dataclass(frozen=True)
class InDuckDB:
    """A table in a DuckDB file of the folder."""

    folder: Path
    candidate: str
    schema: str = "bench"
    table: str = "t"

    def answer(self, query: str) -> list[tuple[Any, ...]]:
        import duckdb

        with duckdb.connect(
            str(self.folder / f"{self.candidate}.duckdb"), read_only=True
        ) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute(f'CREATE TEMP VIEW t AS FROM "{self.schema}"."{self.table}"')
            return connection.execute(query).fetchall()

    def types(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.answer("DESCRIBE t")}


@dataclass(frozen=True)
class InPostgres:
    """A table in PostgreSQL, in a schema of the candidate."""

    candidate: str
    table: str = "t"

    def answer(self, query: str) -> list[tuple[Any, ...]]:
        with servers.postgres() as connection:
            connection.execute(
                f'CREATE TEMP VIEW t AS SELECT * FROM "{schema(self.candidate)}"."{self.table}"'
            )
            return [tuple(row) for row in connection.execute(query).fetchall()]

    def types(self) -> dict[str, str]:
        return dict(
            self.answer(
                "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = 't'::regclass "
                "AND attnum > 0 ORDER BY attnum"
            )
        )


def schema(candidate: str) -> str:
    """Return the schema in PostgreSQL that a candidate loads."""
    return f"into_{candidate.replace(' ', '_').replace('-', '_')}"


@dataclass(frozen=True)
class Work:
    """One thing to do.

    Args:
        title: What it is called in the table.
        rows: How many rows, and how many with `--quick`.
        prepare: Puts files into a folder, once; takes the number of rows. Runs in our environment.
        candidates: By name; `by hand` and `ours` are always there, others are peers with an
            environment of their own.
        given: Gives what all candidates are given, in memory; not timed.
        before: By candidate: what it does to the folder once, untimed, such as loading the table
            that it will change.
        each: By candidate: what it does before each round, untimed, such as giving a table its old
            rows back. Runs in our environment.
        loaded: Where a candidate leaves what it has loaded; None where nothing is loaded.
        check: The query over that place whose answer must be the same for all; its table is `t`.
        servers: The servers that it needs, whose CPU counts.
        needs: Says what else is missing, or nothing.
        whole: Tell only the whole process, its start and imports included, not the work without
            them beside it.
        memory: Tell the most MB that the processes held together beside each figure.
        shown: What the table says: `ratio` of CPU seconds to by hand, `beyond` (CPU seconds above
            by hand), or `memory` (those MB instead).
        target: What ours is to stay below, as shown.
        target_without_imports: The same of the work without its imports.
        rounds: Rounds at most.
        sizes: Measure it with each of these numbers of rows, for a table of its own.
        beside: Candidates of ours, for that table, beside `by hand` and `ours`.
        written: Gives how many bytes a candidate has made in `before`, for that table.
    """

    title: str
    rows: tuple[int, int]
    prepare: Callable[[Path, int], None]
    candidates: Mapping[str, Candidate]
    given: Callable[[Path], Any] = field(default=lambda _folder: None)
    before: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    each: Mapping[str, Callable[[Path], None]] = field(default_factory=dict)
    loaded: Callable[[Path, str], Loaded] | None = field(default=InDuckDB)
    check: str = CHECK
    servers: tuple[str, ...] = ()
    needs: Callable[[], str] = field(default=lambda: "")
    whole: bool = False
    memory: bool = False
    shown: Literal["ratio", "beyond", "memory"] = "ratio"
    target: float | None = None
    target_without_imports: float | None = None
    rounds: int = 99
    sizes: tuple[int, ...] = ()
    beside: tuple[str, ...] = ()
    written: Callable[[Path, str], int] | None = None


def table(rows: int, first: int = 0) -> "pa.Table":
    """Return rows of eight columns, the same at each call."""
    import pyarrow as pa

    chance = random.Random(first)
    ids = range(first, first + rows)
    return pa.table(
        {
            "id": pa.array(ids, pa.int64()),
            "name": pa.array([f"name {i % 1000}" for i in ids], pa.string()),
            "price": pa.array([round(chance.random() * 100, 2) for _ in ids], pa.float64()),
            "weight": pa.array([chance.random() for _ in ids], pa.float64()),
            "count": pa.array([i % 97 for i in ids], pa.int32()),
            "note": pa.array([None if i % 3 else f"note {i}" for i in ids], pa.string()),
            "flag": pa.array([i % 2 == 0 for i in ids], pa.bool_()),
            "made": pa.array(
                [1_700_000_000_000_000 + i * 1_000_000 for i in ids], pa.timestamp("us", "UTC")
            ),
        }
    )


def parquet(folder: Path, rows: int) -> None:
    """Prepare a Parquet file."""
    import pyarrow.parquet as pq

    pq.write_table(table(rows), folder / "rows.parquet")


def batches(folder: Path) -> "list[pa.Table]":
    """Read it, in batches."""
    import pyarrow.parquet as pq

    whole = pq.read_table(folder / "rows.parquet")
    return [whole.slice(start, BATCH) for start in range(0, whole.num_rows, BATCH)]


def fresh(folder: Path, candidate: str) -> str:
    """Return the path of a candidate's DuckDB file, which is not there yet."""
    path = folder / f"{candidate}.duckdb"
    path.unlink(missing_ok=True)
    return str(path)


def again(folder: Path, candidate: str) -> str:
    """Return the path of a candidate's DuckDB file, as it was after `before`."""
    shutil.copy(folder / f"{candidate}.before", folder / f"{candidate}.duckdb")
    return str(folder / f"{candidate}.duckdb")


def keep(folder: Path, candidate: str) -> None:
    """Keep a candidate's DuckDB file for `again`."""
    (folder / f"{candidate}.duckdb").rename(folder / f"{candidate}.before")


def load_by_hand(file: str, given: "list[pa.Table]") -> None:
    """Load Arrow tables into DuckDB by the shortest way."""
    import duckdb
    import pyarrow as pa

    with duckdb.connect(file) as connection:
        connection.execute("CREATE SCHEMA bench")
        connection.register("given", pa.concat_tables(given))
        connection.execute("CREATE TABLE bench.t AS SELECT * FROM given")


def dlt_pipeline(folder: Path, file: str) -> Any:
    """Return a pipeline of dlt into a DuckDB file; its working directory is beside it."""
    import dlt

    return dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "dlt-pipelines"),
        destination=dlt.destinations.duckdb(file),
        dataset_name="bench",
    )


def fresh_dlt(folder: Path) -> Any:
    """Return a pipeline of dlt that has not run yet."""
    shutil.rmtree(folder / "dlt-pipelines", ignore_errors=True)
    return dlt_pipeline(folder, fresh(folder, "dlt"))


def dlt_into_postgres(folder: Path, *, new: bool = True) -> Any:
    """Return a pipeline of dlt into its schema in PostgreSQL."""
    import dlt

    if new:
        shutil.rmtree(folder / "dlt-pipelines", ignore_errors=True)
    url = urlsplit(servers.url(servers.POSTGRES))
    if url.password is None:  # dlt asks for one, also where the server does not
        url = url._replace(netloc=url.netloc.replace("@", ":none@"))
    into = dlt.destinations.postgres(url.geturl())
    return dlt.pipeline(
        "bench",
        pipelines_dir=str(folder / "dlt-pipelines"),
        destination=into,
        dataset_name=schema("dlt"),
    )
