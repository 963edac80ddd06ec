"""Bookmarks as metadata: exact, short where they are large, and found behind events that have none."""

from decimal import Decimal
from typing import Any

import dagster as dg
import pytest

from etl_assets.assets.bookmark_metadata import (
    BOOKMARK,
    BOOKMARK_BOUNDARY,
    DIGEST,
    MAX_BYTES,
    bookmark_in,
    boundary_to_metadata,
    from_metadata,
    to_metadata,
)
from etl_assets.assets.bookmarks import newest_bookmark, newest_event, newest_events
from etl_assets.exceptions import ConfigError
from etl_assets.model.bookmarks.appending import BOUNDARY

KEY = dg.AssetKey(["shop", "orders"])


def shown(bookmark: Any, *, may_cut: bool = True) -> dg.MetadataValue[Any]:
    return to_metadata(bookmark, show_with="etl-assets state get shop/orders", may_cut=may_cut)


def materialize(
    instance: dg.DagsterInstance, metadata: dict[str, Any], *, fails: bool = False
) -> None:
    """Have a run write an event; one that fails writes an observation only."""

    @dg.op
    def write(context: dg.OpExecutionContext) -> None:
        if fails:
            context.log_event(dg.AssetObservation(KEY, metadata=metadata))
            raise RuntimeError
        context.log_event(dg.AssetMaterialization(KEY, metadata=metadata))

    @dg.job
    def job() -> None:
        write()

    job.execute_in_process(instance=instance, raise_on_error=False)


class TestMetadata:
    @pytest.mark.parametrize(
        "bookmark",
        [
            None,
            {"updated_at": "2026-01-01T00:00:00Z"},
            {"id": 2**70},
            {"id": 1.5, "nested": {"a": [1, None, True]}},
            {"amount": Decimal("12345678901234567890.123456789")},
            {"text": "ünï\u2028\ud800"},
        ],
        ids=str,
    )
    def test_it_comes_back_as_it_was(self, bookmark: Any) -> None:
        assert from_metadata(shown(bookmark)).value == bookmark

    def test_a_decimal_is_text_because_json_of_the_ui_would_round_it(self) -> None:
        assert isinstance(shown({"a": Decimal("0.1234567890123456789")}), dg.TextMetadataValue)
        assert isinstance(shown({"a": "x"}), dg.JsonMetadataValue)

    def test_a_large_one_is_a_digest_with_its_size_and_the_command(self) -> None:
        large = {"id": 7, "pages": {f"{number:020x}": 1 for number in range(4000)}}
        value: Any = shown(large).value
        assert value["bytes"] > MAX_BYTES
        assert len(value[DIGEST]) == 64
        assert value["show"] == "etl-assets state get shop/orders"
        back = from_metadata(shown(large))
        assert (back.value, back.whole) == (None, False)

    def test_the_hashes_of_its_rows_stand_apart(self) -> None:
        bookmark = {"id": 7, BOUNDARY: [{"fields": {"a": "number"}, "rows": {"x": 1}}]}
        assert shown(bookmark).value == {"id": 7}
        boundary = boundary_to_metadata(bookmark)
        assert boundary is not None
        event = {BOOKMARK: shown(bookmark), BOOKMARK_BOUNDARY: boundary}
        assert bookmark_in(event).value == bookmark
        assert boundary_to_metadata({"id": 7}) is None
        assert bookmark_in({BOOKMARK: shown({"id": 7})}).value == {"id": 7}

    def test_an_event_of_an_earlier_version_has_both_in_one(self) -> None:
        bookmark = {"id": 7, BOUNDARY: {"x": 1}}
        assert bookmark_in({BOOKMARK: dg.JsonMetadataValue(bookmark)}).value == bookmark

    def test_a_large_one_stays_whole_where_nothing_else_keeps_it(self) -> None:
        large = {"id": "x" * MAX_BYTES}
        back = from_metadata(shown(large, may_cut=False))
        assert (back.value, back.whole) == (large, True)


class TestEvents:
    def test_there_is_none_at_first(self, instance: dg.DagsterInstance) -> None:
        assert newest_event(instance, KEY) is None
        assert newest_bookmark(instance, KEY, "") is None
        assert newest_events(instance, [KEY]) == {KEY: None}

    def test_the_newest_of_a_run_is_found_behind_many_without_one(
        self, instance: dg.DagsterInstance
    ) -> None:
        materialize(instance, {BOOKMARK: {"id": 1}})
        materialize(instance, {BOOKMARK: {"id": 2}})
        materialize(instance, {"something": "else"})
        for number in range(130):  # more than a page
            metadata = {BOOKMARK: {"id": 99}} if number % 2 else {}
            instance.report_runless_asset_event(dg.AssetMaterialization(KEY, metadata=metadata))
        assert newest_bookmark(instance, KEY, "") == {"id": 2}
        event = newest_events(instance, [KEY])[KEY]
        assert event is not None
        assert event.bookmark.value == {"id": 2}

    def test_none_is_a_bookmark_too(self, instance: dg.DagsterInstance) -> None:
        materialize(instance, {BOOKMARK: {"id": 1}})
        materialize(instance, {BOOKMARK: dg.MetadataValue.null()})
        assert newest_bookmark(instance, KEY, "") is None

    def test_a_checkpoint_counts_where_it_is_newer(self, instance: dg.DagsterInstance) -> None:
        materialize(instance, {BOOKMARK: {"id": 1}})
        materialize(instance, {BOOKMARK: {"id": 5}}, fails=True)
        assert newest_bookmark(instance, KEY, "") == {"id": 5}
        materialize(instance, {BOOKMARK: {"id": 3}})
        assert newest_bookmark(instance, KEY, "") == {"id": 3}
        instance.report_runless_asset_event(
            dg.AssetObservation(KEY, metadata={BOOKMARK: {"id": 99}})
        )
        assert newest_bookmark(instance, KEY, "") == {"id": 3}

    def test_a_digest_is_nothing_to_go_on_from(self, instance: dg.DagsterInstance) -> None:
        materialize(instance, {BOOKMARK: shown({"id": "x" * MAX_BYTES})})
        with pytest.raises(ConfigError, match="only the digest"):
            newest_bookmark(instance, KEY, "")

    def test_a_wiped_asset_has_none(self, instance: dg.DagsterInstance) -> None:
        materialize(instance, {BOOKMARK: {"id": 1}})
        instance.wipe_assets([KEY])
        assert newest_bookmark(instance, KEY, "") is None
