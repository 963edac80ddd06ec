"""What a run sees of a long sync, and how often."""

import io
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets.assets import observer as observer_module
from etl_assets.assets.factory import stream_assets
from etl_assets.assets.observer import RunObserver, shortened
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError
from etl_assets.model.batch import Batch
from etl_assets.model.bookmarks.appending import BOUNDARY
from etl_assets.model.load import Committed
from etl_assets.model.stream import Stream
from etl_assets.progress import ProgressBar, ProgressStyle, chosen_style
from etl_assets.progress_text import describe
from etl_assets.sources.base import Source
from tests.assets.shop import event, run

KEY = dg.AssetKey(["shop", "orders"])


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def info(self, line: str) -> None:
        self.lines.append(line)

    warning = info


class Context:
    """As much of an `OutputContext` as an observer uses."""

    asset_key = KEY

    def __init__(self) -> None:
        self.log = Log()
        self.events: list[dg.AssetObservation] = []

    def log_event(self, logged: dg.AssetObservation) -> None:
        self.events.append(logged)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def observing(context: Any, clock: Clock, bar: ProgressBar | None = None) -> RunObserver:
    return RunObserver(
        context,
        source="shop",
        stream="orders",
        destination=None,
        clock=clock,
        progress=bar or ProgressBar("none"),
    )


def committed(number: int) -> Committed:
    return Committed(f"load{number}", number, number, {"id": number}, datetime.now(UTC), "orders")


class TestObserver:
    def test_it_logs_now_and_then_only(self, clock: Clock) -> None:
        context = Context()
        with observing(context, clock) as observer:
            for second in range(61):
                clock.now = 100.0 + second
                observer.progress("orders", second * 10, 0, float(second), {"id": second})
        assert len(context.log.lines) == 4
        assert "orders: 150 rows" in context.log.lines[0]
        assert "bookmark 15" in context.log.lines[0]

    def test_an_estimate_is_shown_until_it_is_exceeded_or_the_end_has_come(
        self, clock: Clock
    ) -> None:
        context, stream = Context(), Terminal()
        with observing(context, clock, ProgressBar(stream=stream, clock=clock)) as observer:
            observer.expect("orders", 100)
            for rows in (50, 100, 101, 60):
                clock.now += 20
                observer.progress("orders", rows, 0, 1.0, None)
        assert [line.partition(" rows")[0] for line in context.log.lines] == [
            "orders: about 100", "orders: 50 of about 100", "orders: 100 of about 100", "orders: 101",
            "orders: 60 of about 100",
        ]  # fmt: skip
        assert "orders: 50 of about 100 rows" in stream.getvalue()
        assert stream.getvalue().split("\r")[-1].strip() == "orders: 60 rows in 1.0 s (60 rows/s)"

    def test_checkpoints_are_observations_without_bare_numbers(self, clock: Clock) -> None:
        context = Context()
        with observing(context, clock) as observer:
            for second in range(25):
                clock.now = 100.0 + second
                observer.checkpoint(committed(second))
        assert [one.metadata["etl_assets/bookmark"].value for one in context.events] == [
            {"id": 0},
            {"id": 10},
            {"id": 20},
        ]
        kinds = {type(value) for one in context.events for value in one.metadata.values()}
        assert kinds == {dg.JsonMetadataValue, dg.TextMetadataValue}

    def test_a_checkpoint_that_cannot_be_shown_warns_only(self, clock: Clock) -> None:
        class Broken(Context):
            @override
            def log_event(self, logged: dg.AssetObservation) -> None:
                raise OSError("disk full")

        context = Broken()
        with observing(context, clock) as observer:
            observer.checkpoint(committed(1))
        assert "disk full" in context.log.lines[0]

    def test_a_silent_source_still_beats(
        self, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(observer_module, "BEAT_SECONDS", 0.01)
        context = Context()
        with observing(context, clock):
            clock.now += 51
            deadline = time.monotonic() + 10
            while not context.log.lines and time.monotonic() < deadline:
                time.sleep(0.01)
        assert context.log.lines == ["orders: waiting for the first rows; at it for 51 s"]

    def test_a_bookmark_is_short_and_without_its_boundary(self) -> None:
        assert shortened({"at": "2026", BOUNDARY: {"x": 1}}) == "2026"
        assert shortened(None) == ""
        assert len(shortened({"at": "x" * 1000})) == 200
        assert shortened({"a": 1, "b": 2}) == '{"a":1,"b":2}'


class Slow(Source):
    """Gives a checkpoint with each batch, then fails."""

    streams = (Stream("numbers", primary_key=["n"], replication_key="n"),)

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield Batch([{"n": 1}], bookmark={"n": 1})
        yield Batch([{"n": 2}], bookmark={"n": 2})
        if not bookmarks:
            raise RuntimeError("gone")


def test_a_checkpoint_is_durable_though_its_run_fails(
    warehouse: DuckDBDestination, instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ETL_ASSETS_CHECKPOINT_SECONDS", "0")
    assets = stream_assets(Slow(name="slow"), destination=warehouse)
    assert not run(assets, instance).success
    (record,) = instance.fetch_observations(assets[0].key, limit=5).records
    assert record.asset_observation is not None
    assert record.asset_observation.metadata["etl_assets/bookmark"].value == {"n": 1}
    assert run(assets, instance).success
    assert event(instance, "slow/numbers")["etl_assets/bookmark_previous"] == {"n": 2}


class TestProgress:
    def test_a_terminal_gets_one_line_that_is_rewritten(self, clock: Clock) -> None:
        stream = Terminal()
        bar = ProgressBar(stream=stream, clock=clock)
        bar.show("orders", 10, 0, 1.0)
        bar.show("orders", 20, 0, 1.1)  # too soon
        clock.now += 1
        bar.show("orders", 30, 0, 2.0, "bookmark 7")
        bar.end("orders: done")
        lines = stream.getvalue().split("\r")
        assert [line.strip() for line in lines[1:]] == [
            "/ orders: 10 rows in 1.0 s (10 rows/s)",
            "- orders: 30 rows in 2.0 s (15 rows/s), bookmark 7",
            "orders: done",
        ]
        assert stream.getvalue().endswith("\n")

    def test_elsewhere_a_plain_line_now_and_then(self, clock: Clock) -> None:
        stream = io.StringIO()
        bar = ProgressBar(stream=stream, clock=clock)
        for second in range(25):
            clock.now = 100.0 + second
            bar.show("orders", second, 0, float(second))
        assert bar.style is ProgressStyle.PLAIN
        assert len(stream.getvalue().splitlines()) == 3
        assert "\r" not in stream.getvalue()

    def test_none_writes_nothing(self) -> None:
        stream = io.StringIO()
        bar = ProgressBar("none", stream=stream)
        bar.show("orders", 1, 1, 1.0)
        bar.end("done")
        assert stream.getvalue() == ""

    def test_the_environment_chooses(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert chosen_style(ProgressStyle.PLAIN) is ProgressStyle.PLAIN
        monkeypatch.setenv("ETL_ASSETS_PROGRESS", "Bar")
        assert chosen_style() is ProgressStyle.BAR
        monkeypatch.setenv("ETL_ASSETS_PROGRESS", "fireworks")
        with pytest.raises(ConfigError, match="fireworks"):
            chosen_style()

    @pytest.mark.parametrize(
        ("bytes_", "seconds", "text"),
        [
            (0, 0.0, "x: 1,000 rows in 0.0 s"),
            (999, 10.0, "x: 1,000 rows, 999 B in 10.0 s (100 rows/s)"),
            (41_200_000, 125.0, "x: 1,000 rows, 41.2 MB in 2 min 5 s (8 rows/s)"),
            (3 * 10**12, 1.0, "x: 1,000 rows, 3000.0 GB in 1.0 s (1,000 rows/s)"),
        ],
    )
    def test_a_line_says_rows_size_time_and_rate(
        self, bytes_: int, seconds: float, text: str
    ) -> None:
        assert describe("x", 1000, bytes_, seconds) == text
