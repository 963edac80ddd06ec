"""Hints about checks: what they show is taken."""

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import Destination, DuckDBDestination, DuckDBIOManager, checks, stream_assets
from etl_assets.engine.sync import sync
from etl_assets.model.stream import Stream
from etl_assets.testing.fakes import GivenRead
from tests.assets.shop import Shop, failure_text, people, run
from tests.hints.following import hint_of

WRONG: Any = None


@pytest.mark.parametrize(
    ("call", "words", "then"),
    [
        (
            lambda: checks.unique_key(name="a b"),
            "give it one with name=...",
            lambda: checks.unique_key(name="a_b"),
        ),
        (
            lambda: checks.unique_key(gate=True, severity="warn"),
            'Leave out gate, or severity="warn".',
            lambda: (checks.unique_key(gate=True), checks.unique_key(severity="warn")),
        ),
        (
            checks.not_null,
            'checks.not_null("email")',
            lambda: checks.not_null("email"),
        ),
        (
            lambda: checks.unique_key(["first", "second"]),  # type: ignore[arg-type]
            'checks.unique_key("first", "second")',
            lambda: checks.unique_key("first", "second"),
        ),
        (
            lambda: checks.matches_source(gate=True),
            "Use blocking=True",
            lambda: checks.matches_source(blocking=True),
        ),
        (
            lambda: checks.matches_source(5),
            "0.01 for one in a hundred",
            lambda: checks.matches_source(0.01),
        ),
        (
            checks.row_count,
            "Give it min, max or anomaly.",
            lambda: (checks.row_count(min=1), checks.row_count(max=1), checks.row_count(anomaly=3)),
        ),
        (
            lambda: checks.row_count(min=2, max=1),
            "a max that is not less than its min",
            lambda: checks.row_count(min=1, max=1),
        ),
        (
            lambda: checks.row_count(anomaly=-1),
            "such as 3",
            lambda: checks.row_count(anomaly=3),
        ),
        (
            lambda: checks.max_lag("at", 2),  # type: ignore[arg-type]
            'timedelta(hours=2), or {"hours": 2}',
            lambda: (
                checks.max_lag("at", timedelta(hours=2)),
                checks.max_lag("at", {"hours": 2}),
            ),
        ),
        (
            lambda: checks.sql("SELECT 1", name="one"),
            '"SELECT id FROM {table} WHERE ..."',
            lambda: checks.sql("SELECT id FROM {table} WHERE id < 0", name="one"),
        ),
        (
            lambda: checks.sql("SELECT id FROM {table}; DELETE FROM {table}", name="two"),
            "Write one SELECT",
            lambda: checks.sql("SELECT id FROM {table} WHERE email = ';' -- ;", name="one"),
        ),
        (
            lambda: checks.unique_key(severity=WRONG),
            'It is "error" or "warn".',
            lambda: (checks.unique_key(severity="error"), checks.unique_key(severity="warn")),
        ),
        (
            lambda: checks.of([checks.unique_key(), checks.unique_key("a", name="unique_key")]),
            "another name=...",
            lambda: checks.of([checks.unique_key(), checks.unique_key("a", name="other")]),
        ),
        (
            lambda: checks.of(3),
            'checks.unique_key() and its like, or their names: {"unique_key": {}}.',
            lambda: (checks.of([checks.unique_key()]), checks.of({"unique_key": {}})),
        ),
    ],
)
def test_a_check_is_written_as_the_hint_says(
    call: Callable[[], Any], words: str, then: Callable[[], Any]
) -> None:
    hint_of(call, words)
    assert then()


def test_a_stream_with_checks_goes_into_a_database() -> None:
    shop = Shop({"orders": people(1)})
    wanted = {"orders": {"checks": ["unique_key"]}}

    def into(destination: Any, options: Any) -> list[dg.AssetsDefinition]:
        return stream_assets(shop, ["orders"], destination=destination, options=options)

    class Printer(Destination):
        def export_batch_data(self, *_: Any, **__: Any) -> None:
            raise AssertionError("nothing is loaded")

    hint_of(lambda: into(Printer(), wanted), "Leave checks out, or load into a database.")
    assert into(Printer(), {})
    assert into(DuckDBDestination("w.duckdb"), wanted)


def test_a_resource_for_checks_is_that_of_a_database(tmp_path: Path) -> None:
    shop = Shop({"orders": people(1)})
    assets = stream_assets(
        shop, ["orders"], io_manager_key="place", defaults={"checks": ["unique_key"]}
    )
    with dg.DagsterInstance.ephemeral() as instance:
        told = failure_text(run(assets, instance, resources={"place": dg.FilesystemIOManager()}))
        assert "the IO manager of a database, such as DuckDBIOManager" in told
        place = DuckDBIOManager(path=str(tmp_path / "w.duckdb"))
        assert run(assets, instance, resources={"place": place}).success


def test_a_source_that_is_to_be_counted_counts() -> None:
    class Counting(Shop):
        def count_records(self, *_: Any, **__: Any) -> int:
            return 1

    def assets(shop: Shop) -> list[dg.AssetsDefinition]:
        options = {"orders": {"checks": ["matches_source"]}}
        return stream_assets(
            shop, ["orders"], destination=DuckDBDestination("w.duckdb"), options=options
        )

    hint_of(lambda: assets(Shop()), "override count_records(self, stream, ...)")
    assert assets(Counting())


def test_what_a_gate_has_refused_is_loaded_once_it_is_mended(tmp_path: Path) -> None:
    stream = Stream("orders", primary_key=["id"])
    gate = checks.not_null("name", gate=True)

    def load(name: str | None, check: checks.Check) -> int:
        read = GivenRead(stream, [[{"id": 1, "name": name}]])
        return sync(
            read, DuckDBDestination(str(tmp_path / "w.duckdb")), checks=[check]
        ).records_loaded

    hint_of(lambda: load(None, gate), "Correct the rows at the source, or change the check.")
    assert load("Ada", gate) == 1
    assert load(None, checks.not_null("name")) == 1
