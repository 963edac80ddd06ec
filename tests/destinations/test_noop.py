"""The destination that keeps nothing."""

import subprocess
import sys
import warnings
from collections.abc import Iterator
from typing import Any

import pytest
from typing_extensions import override

import etl_assets
import etl_assets.destinations.util
import etl_assets.registry
import etl_assets.sources.util
from etl_assets.destinations.noop import NoopDestination, get_noop_destination
from etl_assets.exceptions import DataError
from etl_assets.model.stream import Stream
from etl_assets.sources.base import Source
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync

ORDERS = Stream("orders", schema={"properties": {"id": {"type": "integer"}}}, primary_key=["id"])


class Shop(Source):
    """Three orders."""

    name = "shop"
    streams = (ORDERS,)

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield [{"id": 1}, {"id": 2}]
        yield [{"id": 3}]


def test_it_counts_and_says_that_it_is_at_least_once() -> None:
    noop = get_noop_destination(install_if_missing=False)
    result = sync(StreamRead(Shop(), ORDERS), noop)
    assert (result.records_loaded, result.delivery) == (3, "at_least_once")
    sync(StreamRead(Shop(), ORDERS), noop)
    assert noop.counts == {"orders": 6}
    assert NoopDestination().counts == {}


def test_a_record_that_does_not_convert_is_an_error_by_name() -> None:
    class Broken(Shop):
        @override
        def load_data(
            self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
        ) -> Iterator[Any]:
            yield [{"id": object()}]

    with pytest.raises(DataError, match="id"):
        sync(StreamRead(Broken(), ORDERS), get_noop_destination())


def test_a_script_writes_to_it() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert get_noop_destination().write(Shop(), state_cache=False).processed_records == 3


def test_the_names_are_where_scripts_for_pyairbyte_look() -> None:
    assert etl_assets.get_noop_destination is etl_assets.destinations.get_noop_destination
    assert etl_assets.destinations.util.get_noop_destination is get_noop_destination
    assert (
        etl_assets.sources.get_source is etl_assets.sources.util.get_source is etl_assets.get_source
    )
    assert etl_assets.sources.Source is etl_assets.Source
    assert etl_assets.registry.get_available_connectors is etl_assets.get_available_connectors
    assert "source-faker" in etl_assets.registry.get_available_connectors(
        etl_assets.registry.InstallType.PYTHON
    )
    with pytest.raises(AttributeError, match="nothing_such"):
        getattr(etl_assets.destinations, "nothing_such")  # noqa: B009
    with pytest.raises(AttributeError, match="nothing_such"):
        getattr(etl_assets.sources, "nothing_such")  # noqa: B009


def test_the_packages_load_nothing_heavy() -> None:
    code = (
        "import sys, etl_assets.sources, etl_assets.destinations, etl_assets.registry, etl_assets.destinations.noop;"
        "print([m for m in ('pyarrow', 'pandas', 'duckdb', 'dagster', 'sqlalchemy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
