"""A source of one's own that asks Dagster for a retry, or forbids one, in Dagster's words."""

from collections.abc import Iterator
from typing import Any

import dagster as dg
import pytest
from typing_extensions import override

from etl_assets import DuckDBDestination, Source, Stream, stream_assets

NEVER = dg.Failure("the account is closed", allow_retries=False)


class Odd(Source):
    """Fails some times, and then gives a row."""

    streams = (Stream("orders", primary_key="id"),)

    def __init__(self, error: Exception, times: int) -> None:
        super().__init__(name="odd")
        self.error, self.times = error, times
        self.reads: list[str] = []  # which the copies of the source share

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        self.reads.append(stream.name)
        if len(self.reads) <= self.times:
            raise self.error
        yield [{"id": 1}]


def run(
    source: Odd, warehouse: DuckDBDestination, granularity: Any, **options: Any
) -> dg.ExecuteInProcessResult:
    assets = stream_assets(source, destination=warehouse, granularity=granularity, **options)
    return dg.materialize(assets, raise_on_error=False)


@pytest.mark.parametrize("granularity", ["stream", "source"])
class TestInDagstersWords:
    def test_a_retry_is_what_it_asks_for(
        self, granularity: str, warehouse: DuckDBDestination
    ) -> None:
        source = Odd(dg.RetryRequested(max_retries=2, seconds_to_wait=0.01), 2)
        assert run(source, warehouse, granularity).success
        assert len(source.reads) == 3

    def test_it_is_not_tried_more_often_than_that(
        self, granularity: str, warehouse: DuckDBDestination
    ) -> None:
        source = Odd(dg.RetryRequested(max_retries=1), 9)
        result = run(source, warehouse, granularity)
        assert not result.success
        assert len(source.reads) == 2

    def test_a_failure_that_forbids_it_is_not_tried_again(
        self, granularity: str, warehouse: DuckDBDestination
    ) -> None:
        source = Odd(NEVER, 9)
        policy = dg.RetryPolicy(max_retries=2)
        result = run(source, warehouse, granularity, retry_policy=policy)
        (failed,) = [one for one in result.all_events if one.is_step_failure]
        assert len(source.reads) == 1
        assert "the account is closed" in str(failed.step_failure_data.user_failure_data)
