"""Works that load files into DuckDB; whole processes are measured."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks.work import Work, fresh


def file_work(
    title: str,
    path: str,
    prepare: Callable[[Path, int], None],
    *,
    by_hand: Callable[[Path], str],
    options: Mapping[str, Any],
    check: str,
    rows: tuple[int, int],
    target: float,
) -> Work:
    """Return a work.

    Args:
        title: What it is called.
        path: A glob of the files.
        prepare: Writes them.
        by_hand: Gives the function of DuckDB that reads them.
        options: Those of our source.
        check: The query whose answer tells what was loaded.
        rows: How many, and how many with `--quick`.
        target: What ours is to stay below, as a ratio.
    """

    def hand(folder: Path, given: Any) -> Callable[[], Any]:
        import duckdb

        def load() -> None:
            with duckdb.connect(fresh(folder, "by hand")) as connection:
                connection.execute("CREATE SCHEMA bench")
                connection.execute(f"CREATE TABLE bench.t AS FROM {by_hand(folder / path)}")

        return load

    def ours(folder: Path, given: Any) -> Callable[[], Any]:
        from etl_assets import DuckDBDestination, FileSource, StreamRead
        from etl_assets.sync import sync

        def load() -> None:
            source = FileSource("bench", str(folder), streams={"t": {"path": path, **options}})
            stream = source.discover()["t"]
            sync(StreamRead(source, stream), DuckDBDestination(fresh(folder, "ours")))

        return load

    return Work(
        title=title,
        rows=rows,
        prepare=prepare,
        candidates={"by hand": hand, "ours": ours},
        check=check,
        whole=True,
        target=target,
    )
