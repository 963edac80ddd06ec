"""A toy source that honours its bookmark, and short ways to run assets and look at what came of it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
import duckdb
from typing_extensions import override

from etl_assets.exceptions import SourceError
from etl_assets.model.stored import Bookmark
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source

Rows = list[dict[str, Any]]

CUSTOMERS = Stream("customers", primary_key=["id"], replication_key="updated_at")
ORDERS = Stream("orders", primary_key=["id"], replication_key="updated_at")
VISITS = Stream("visits", replication_key="at")
COUNTRIES = Stream("countries")


class Shop(Source):
    """Yields the rows it was given, in the order of their replication key, two at a time."""

    streams: Sequence[Stream] = (CUSTOMERS, ORDERS, VISITS, COUNTRIES)

    def __init__(self, rows: Mapping[str, Rows] | None = None, **options: Any) -> None:
        super().__init__(**{"name": "shop", **options})
        self.rows: dict[str, Rows] = dict(rows or {})
        self.reads: list[tuple[str, Bookmark | None]] = []
        self.queries: list[Mapping[str, Any] | None] = []
        self.asked: list[dict[str, Bookmark | None]] = []
        self.failures: dict[str, list[BaseException]] = {}

    @override
    def load_data(
        self,
        stream: Stream,
        bookmarks: Bookmark | None = None,
        query: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> Iterator[Rows]:
        self.reads.append((stream.name, bookmarks))
        self.queries.append(query)
        found = self.after(stream, bookmarks)
        for index in range(0, len(found), 2):
            yield found[index : index + 2]
        if self.failures.get(stream.name):
            raise self.failures[stream.name].pop(0)

    @override
    def pending(
        self, bookmarks: Mapping[Stream, Bookmark | None], *, timeout: float, rows: Any = None
    ) -> dict[Stream, bool | None]:
        del timeout
        self.asked.append({stream.name: bookmark for stream, bookmark in bookmarks.items()})
        return {stream: self._has_more(stream, bookmark) for stream, bookmark in bookmarks.items()}

    def after(self, stream: Stream, bookmark: Bookmark | None) -> Rows:
        """Return the rows at and after a bookmark."""
        rows = self.rows.get(stream.name, [])
        if not stream.cursor:
            return list(rows)
        key = stream.cursor[0]
        rows = sorted(rows, key=lambda row: str(row[key]))
        return [row for row in rows if not bookmark or str(row[key]) >= str(bookmark[key])]

    def _has_more(self, stream: Stream, bookmark: Bookmark | None) -> bool | None:
        if not stream.cursor:
            return None
        largest = max(
            (str(row[stream.cursor[0]]) for row in self.rows.get(stream.name, [])), default=""
        )
        return largest > (str(bookmark[stream.cursor[0]]) if bookmark else "")


def person(number: int, name: str = "Ada") -> dict[str, Any]:
    """Return a row of `customers` or `orders`."""
    return {
        "id": number,
        "name": f"{name} {number}",
        "updated_at": f"2026-01-{number:02d}T00:00:00Z",
    }


def people(count: int) -> Rows:
    """Return rows 1 to `count`."""
    return [person(number) for number in range(1, count + 1)]


def broken(message: str = "the shop is on fire") -> SourceError:
    """Return an error that is not retried."""
    return SourceError(message, hint="Call the fire brigade.")


def run(
    assets: Sequence[Any] | dg.Definitions,
    instance: dg.DagsterInstance,
    *names: str,
    config: Mapping[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    resources: Mapping[str, Any] | None = None,
) -> dg.ExecuteInProcessResult:
    """Materialize assets in one run; a failure is in the result.

    Args:
        assets: All of the project, or its definitions.
        instance: Where events go.
        names: User strings of the keys; none for all.
        config: Run config by op name.
        tags: Of the run.
        resources: Of the project.
    """
    defs = (
        assets
        if isinstance(assets, dg.Definitions)
        else dg.Definitions(assets=assets, resources=resources)
    )
    return defs.resolve_implicit_global_asset_job_def().execute_in_process(
        instance=instance,
        asset_selection=[dg.AssetKey.from_user_string(name) for name in names] or None,
        run_config={"ops": {name: {"config": value} for name, value in (config or {}).items()}},
        tags=dict(tags or {}),
        raise_on_error=False,
    )


def event(instance: dg.DagsterInstance, name: str) -> dict[str, Any]:
    """Return the metadata of the newest materialization."""
    entry = instance.get_latest_materialization_event(dg.AssetKey.from_user_string(name))
    assert entry is not None
    assert entry.asset_materialization is not None
    return {key: value.value for key, value in entry.asset_materialization.metadata.items()}


def failure(result: dg.ExecuteInProcessResult) -> dg.DagsterEvent:
    """Return the only failed step's event."""
    (failed,) = [one for one in result.all_events if one.is_step_failure]
    return failed


def failure_text(result: dg.ExecuteInProcessResult) -> str:
    """Return what the only failed step says."""
    data = failure(result).step_failure_data
    assert data.user_failure_data is not None
    return str(data.user_failure_data.description)


def logged(result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> str:
    """Return all that a run logged."""
    return "\n".join(
        record.event_log_entry.user_message
        for record in instance.get_records_for_run(result.run_id).records
    )


def query(path: Any, sql: str) -> list[tuple[Any, ...]]:
    """Ask a DuckDB file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(sql).fetchall()
