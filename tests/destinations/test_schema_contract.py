"""Schema contracts: what evolves, what is refused, what is left out, and what is known of it afterwards."""

import re
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from etl_assets.destinations.base import Destination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import (
    ConfigError,
    DataError,
    DestinationError,
    SchemaConflictError,
    UnsupportedWriteError,
)
from etl_assets.faults import FaultError
from etl_assets.model.batch import Batch
from etl_assets.model.contract import ContractMode, Rejected, SchemaContract
from etl_assets.model.load import Capabilities, SyncResult
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import resolve_start, sync
from etl_assets.testing.fakes import MemoryDestination
from tests.toys import Rows, read

Query = Callable[[str], list[tuple[Any, ...]]]

ORDERS = Stream("orders", primary_key="id", replication_key="seq")
EVENTS = Stream("events", replication_key="seq")
CITIES = Stream("cities")
DECLARED = Stream(
    "things",
    schema={
        "type": "object",
        "properties": {
            "id": {"type": "integer"},
            "n": {"type": ["null", "integer"]},
            "day": {"type": ["null", "string"], "format": "date"},
            "at": {"type": ["null", "string"], "format": "date-time"},
        },
    },
    primary_key="id",
)
DISCARDS = ["discard_value", "discard_row"]
REFUSES = ["freeze", *DISCARDS]


@pytest.fixture
def orders(warehouse: DuckDBDestination) -> DuckDBDestination:
    """Return a warehouse with one order: its columns are BIGINT, BIGINT, VARCHAR, BIGINT."""
    sync(read([{"id": 1, "seq": 1, "name": "a", "n": 1}], ORDERS), warehouse)
    return warehouse


def order(number: int, **fields: Any) -> dict[str, Any]:
    return {"id": number, "seq": number, "name": f"o{number}", "n": number, **fields}


def load(warehouse: Any, *rows: Any, stream: Stream = ORDERS, **options: Any) -> SyncResult:
    return sync(read(rows, stream, batch=100), warehouse, **options)


def types(query: Query, table: str = "shop.orders") -> dict[str, str]:
    return {row[0]: row[1] for row in query(f"DESCRIBE {table}") if not row[0].startswith("_etl")}


class TestNewColumn:
    def test_evolve_adds_it(self, orders: DuckDBDestination, query: Query) -> None:
        result = load(orders, order(2, colour="red"))
        assert result.schema_changes == ['added column "colour" VARCHAR']
        assert (result.rejected, result.rejections) == (0, [])
        assert query("SELECT id, colour FROM shop.orders ORDER BY id") == [(1, None), (2, "red")]

    def test_freeze_refuses_it_and_loads_nothing(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        with pytest.raises(
            SchemaConflictError, match=r"stream 'orders', field 'Colour'.*'red'.*evolve"
        ) as raised:
            load(orders, order(2), order(3, Colour="red"), schema_contract="freeze")
        assert (raised.value.stream, raised.value.field) == ("orders", "Colour")
        assert query("SELECT id FROM shop.orders") == [(1,)]
        stored = orders.stored("shop", ORDERS).state
        assert stored is not None
        assert stored.bookmark == {"seq": 1}

    def test_freeze_refuses_one_without_a_value_too(self, orders: DuckDBDestination) -> None:
        with pytest.raises(SchemaConflictError, match="'colour'"):
            load(orders, order(2, colour=None), schema_contract="freeze")

    def test_discard_value_leaves_the_field_out(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        result = load(
            orders,
            order(2, colour="red"),
            order(3, colour=None),
            order(4),
            schema_contract="discard_value",
        )
        assert list(types(query)) == ["id", "seq", "name", "n"]
        assert query("SELECT id, n FROM shop.orders ORDER BY id") == [
            (1, 1),
            (2, 2),
            (3, 3),
            (4, 4),
        ]
        assert result.rejected == 1
        assert result.rejections == [Rejected("colour", "the table has no such column", values=1)]

    def test_discard_row_leaves_the_rows_out_that_have_it(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        result = load(
            orders,
            order(2, colour="red"),
            order(3, colour=None),
            order(4),
            schema_contract="discard_row",
        )
        assert query("SELECT id FROM shop.orders ORDER BY id") == [(1,), (3,), (4,)]
        assert result.rejections == [Rejected("colour", "the table has no such column", rows=1)]
        assert result.bookmark == {"seq": 4}

    @pytest.mark.parametrize("mode", DISCARDS)
    def test_a_key_is_never_left_out(self, mode: str, warehouse: DuckDBDestination) -> None:
        load(warehouse, {"seq": 1, "n": 1}, stream=EVENTS)
        keyed = EVENTS.replace(primary_key="id")
        with pytest.raises(SchemaConflictError, match=r"'id'.*part of a key"):
            load(warehouse, {"seq": 2, "n": 1, "id": 7}, stream=keyed, schema_contract=mode)

    def test_a_field_whose_column_has_another_name_is_no_new_one(
        self, warehouse: DuckDBDestination
    ) -> None:
        load(warehouse, {"id": 1, "seq": 1, "Unit Price": 1, "unit_price": "a"})
        again = load(
            warehouse,
            {"id": 2, "seq": 2, "unit_price": "b", "Unit Price": 2},
            schema_contract="freeze",
        )
        assert again.rows_in_table == 2

    def test_our_own_columns_are_none_of_the_source(self, orders: DuckDBDestination) -> None:
        with pytest.raises(SchemaConflictError, match="'_etl_assets_load_id'"):
            load(orders, order(2, _etl_assets_load_id="mine"), schema_contract="freeze")


BAD = ["abc", True, 2.5, 2**70, Decimal("1.5"), b"1", {"a": 1}, date(2026, 1, 1)]


class TestValues:
    def test_evolve_widens(self, orders: DuckDBDestination, query: Query) -> None:
        assert load(orders, order(2, n="abc")).schema_changes == [
            'widened column "n" BIGINT to VARCHAR'
        ]
        assert query("SELECT n FROM shop.orders ORDER BY id") == [("1",), ("abc",)]

    @pytest.mark.parametrize("bad", BAD, ids=repr)
    def test_freeze_names_stream_field_value_and_types(
        self, bad: Any, orders: DuckDBDestination, query: Query
    ) -> None:
        with pytest.raises(
            SchemaConflictError, match=r"stream 'orders', field 'n'.* into BIGINT\)"
        ) as raised:
            load(orders, order(2), order(3, n=bad), schema_contract="freeze")
        assert repr(bad) in str(raised.value)
        assert query("SELECT id FROM shop.orders") == [(1,)]

    @pytest.mark.parametrize(
        "bad", [*BAD, pytest.param(object(), id="object"), float("nan"), "\ud800"], ids=repr
    )
    @pytest.mark.parametrize("mode", DISCARDS)
    def test_only_the_offending_values_are_left_out(
        self, mode: str, bad: Any, orders: DuckDBDestination, query: Query
    ) -> None:
        rows = [order(2), order(3, n=bad), order(4, n=None), order(5, n=2**53 + 1), order(6, n=bad)]
        result = load(orders, *rows, schema_contract=mode, keep_rejected=True)
        whole = mode == "discard_row"
        kept = [(1, 1), (2, 2), (4, None), (5, 2**53 + 1)]
        wanted = kept if whole else sorted([*kept, (3, None), (6, None)])
        assert query("SELECT id, n FROM shop.orders ORDER BY id") == wanted
        assert types(query)["n"] == "BIGINT"
        assert result.rejected == 2
        assert result.rejections == [
            Rejected("n", "does not fit BIGINT", 2 * whole, 2 * (not whole))
        ]
        assert result.bookmark == {"seq": 6}

    @pytest.mark.parametrize("mode", REFUSES)
    def test_whole_numbers_fit_integers_in_whatever_form(
        self, mode: str, orders: DuckDBDestination, query: Query
    ) -> None:
        result = load(
            orders,
            order(2, n=2.0),
            order(3, n=Decimal(3)),
            order(4, n=2**53 + 1),
            schema_contract=mode,
        )
        assert result.rejected == 0
        assert query("SELECT n FROM shop.orders ORDER BY id") == [(1,), (2,), (3,), (2**53 + 1,)]

    @pytest.mark.parametrize("mode", REFUSES)
    def test_what_a_wider_column_holds_fits(
        self, mode: str, orders: DuckDBDestination, query: Query
    ) -> None:
        rows = [
            order(2, name=7),
            order(3, name=True),
            order(4, name=date(2026, 1, 1)),
            order(5, name="x"),
        ]
        assert load(orders, *rows, schema_contract=mode).rejected == 0
        assert query("SELECT name FROM shop.orders ORDER BY id") == [
            ("a",),
            ("7",),
            ("true",),
            ("2026-01-01",),
            ("x",),
        ]

    @pytest.mark.parametrize("mode", REFUSES)
    def test_a_column_that_is_gone_stays(
        self, mode: str, orders: DuckDBDestination, query: Query
    ) -> None:
        assert load(orders, {"id": 2, "seq": 2, "n": 2}, schema_contract=mode).rejected == 0
        assert query("SELECT name FROM shop.orders ORDER BY id") == [("a",), (None,)]

    @pytest.mark.parametrize("mode", DISCARDS)
    def test_text_is_never_guessed(
        self, mode: str, warehouse: DuckDBDestination, query: Query
    ) -> None:
        stream = Stream("days", primary_key="id", replication_key="id")
        load(warehouse, {"id": 1, "day": date(2026, 1, 1), "n": 1}, stream=stream)
        result = load(
            warehouse, {"id": 2, "day": "2026-01-02", "n": "2"}, stream=stream, schema_contract=mode
        )
        assert [(one.field, one.reason) for one in result.rejections] == [
            ("day", "does not fit DATE"),
            ("n", "does not fit BIGINT"),
        ]
        assert result.rejected == 1
        assert types(query, "shop.days")["day"] == "DATE"

    @pytest.mark.parametrize("mode", DISCARDS)
    def test_bytes_where_text_is(self, mode: str, orders: DuckDBDestination, query: Query) -> None:
        result = load(orders, order(2, name=b"\xff"), order(3, name="c"), schema_contract=mode)
        assert (result.rejected, result.rejections[0].reason) == (1, "does not fit VARCHAR")
        assert ("c",) in query("SELECT name FROM shop.orders")

    def test_one_record_with_two_faults_counts_once(self, orders: DuckDBDestination) -> None:
        result = load(orders, order(2, n="x", colour="red"), schema_contract="discard_row")
        assert (result.rejected, result.records_loaded) == (1, 0)
        assert {(one.field, one.rows) for one in result.rejections} == {("n", 1), ("colour", 1)}

    @pytest.mark.parametrize("mode", DISCARDS)
    def test_of_values_that_nothing_tells_apart_the_first_kind_stays(
        self, mode: str, warehouse: DuckDBDestination, query: Query
    ) -> None:
        rows = [{"x": "a"}, {"x": b"b"}, {"x": object()}, {"x": "c"}]
        result = load(warehouse, *rows, stream=CITIES, schema_contract=mode)
        assert (result.rejected, result.rejections[0].reason) == (2, "cannot be stored exactly")
        assert query("SELECT x FROM shop.cities WHERE x IS NOT NULL ORDER BY x") == [("a",), ("c",)]

    def test_columns_and_types_have_modes_of_their_own(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        contract = {"columns": "evolve", "data_type": "discard_value"}
        result = load(orders, order(2, n="x", colour="red"), schema_contract=contract)
        assert result.schema_changes == ['added column "colour" VARCHAR']
        assert query("SELECT n, colour FROM shop.orders WHERE id = 2") == [(None, "red")]
        contract = {"columns": "discard_value", "data_type": "evolve"}
        result = load(orders, order(3, n="x", size=1), schema_contract=contract)
        assert result.schema_changes == ['widened column "n" BIGINT to VARCHAR']
        assert result.rejections == [Rejected("size", "the table has no such column", values=1)]


class TestKeys:
    @pytest.mark.parametrize("mode", DISCARDS)
    @pytest.mark.parametrize("key", [None, "seven"])
    def test_a_row_without_a_usable_key_is_rejected(
        self, mode: str, key: Any, orders: DuckDBDestination, query: Query
    ) -> None:
        result = load(orders, order(2), order(3, id=key), schema_contract=mode)
        assert query("SELECT id FROM shop.orders ORDER BY id") == [(1,), (2,)]
        reason = "a key is NULL or missing" if key is None else "does not fit BIGINT"
        assert result.rejections == [Rejected("id", reason, rows=1)]
        assert result.bookmark == {"seq": 3}

    @pytest.mark.parametrize("mode", DISCARDS)
    def test_a_key_that_no_row_has_rejects_them_all(
        self, mode: str, orders: DuckDBDestination
    ) -> None:
        result = load(orders, {"seq": 2, "n": 1}, {"seq": 3, "n": 1}, schema_contract=mode)
        assert (result.rejected, result.records_loaded, result.rows_in_table) == (2, 0, 1)

    @pytest.mark.parametrize("mode", ["evolve", "freeze"])
    def test_else_it_is_an_error(self, mode: str, orders: DuckDBDestination) -> None:
        with pytest.raises(DataError, match=r"'orders'.*'id'.*key is NULL"):
            load(orders, order(2, id=None), schema_contract=mode)

    @pytest.mark.parametrize("mode", DISCARDS)
    @pytest.mark.parametrize("key", [None, "seven"])
    def test_a_replication_key_is_never_left_out_alone(
        self, mode: str, key: Any, warehouse: DuckDBDestination, query: Query
    ) -> None:
        load(warehouse, {"seq": 1, "n": 1}, stream=EVENTS)
        rows = Rows([{"seq": key, "n": 2}, {"seq": 3, "n": 3}], batch=1, name="shop")
        rows.load_data = lambda *args, **kwargs: iter([[row] for row in rows.rows])  # type: ignore[method-assign]
        result = sync(StreamRead(rows, EVENTS), warehouse, schema_contract=mode, keep_rejected=True)
        assert query("SELECT seq, n FROM shop.events ORDER BY n") == [(1, 1), (3, 3)]
        assert (result.rejected, result.bookmark and result.bookmark["seq"]) == (1, 3)
        assert query("SELECT field, left_out FROM shop.events__rejected") == [("seq", "row")]


class TestDeclared:
    def test_a_first_load_has_to_fit_what_is_declared(
        self, warehouse: DuckDBDestination, query: Query
    ) -> None:
        rows = [
            {"id": 1, "n": 1, "day": "2026-01-01", "at": "2026-01-01T00:00:00"},
            {"id": 2, "n": "x", "day": "2023-02-29", "at": 1767225600},
            {"id": 3, "n": 1.5, "day": None, "at": "2026-01-01T00:00:00Z", "more": 1},
        ]
        result = load(warehouse, *rows, stream=DECLARED, schema_contract="discard_value")
        assert query('SELECT id, n, day, "at" FROM shop.things ORDER BY id') == [
            (1, 1, date(2026, 1, 1), datetime(2026, 1, 1)),  # noqa: DTZ001 - naive on purpose
            (2, None, None, None),
            (3, None, None, None),
        ]
        assert list(types(query, "shop.things")) == ["id", "n", "day", "at"]
        lost = {one.field: vars(one)["values"] for one in result.rejections}
        assert lost == {"n": 2, "day": 1, "at": 2, "more": 1}

    def test_freeze_refuses_what_would_widen_a_declared_column(
        self, warehouse: DuckDBDestination
    ) -> None:
        with pytest.raises(SchemaConflictError, match=r"'things', field 'n'.*1\.5"):
            load(warehouse, {"id": 1, "n": 1.5}, stream=DECLARED, schema_contract="freeze")
        with pytest.raises(DataError, match=r"'things', field 'n'.*'x'"):
            load(warehouse, {"id": 1, "n": "x"}, stream=DECLARED, schema_contract="freeze")

    def test_a_table_of_arrow_gets_every_declared_column(
        self, warehouse: DuckDBDestination, query: Query
    ) -> None:
        batch = pa.table({"id": [1]})
        source = Rows([batch], batch=1)
        source.load_data = lambda *args, **kwargs: iter([batch])  # type: ignore[method-assign]
        sync(StreamRead(source, DECLARED), warehouse, schema_contract="freeze")
        assert types(query, "shop.things")["day"] == "DATE"
        row = {"id": 2, "n": 1, "day": "2026-01-01"}
        assert load(warehouse, row, stream=DECLARED, schema_contract="freeze").rejected == 0

    def test_the_table_rules_once_it_is_there(
        self, warehouse: DuckDBDestination, query: Query
    ) -> None:
        load(warehouse, {"id": 1, "n": 1.5}, stream=DECLARED)
        load(warehouse, {"id": 2, "n": 2.5}, stream=DECLARED, schema_contract="freeze")
        assert query("SELECT n FROM shop.things") == [(2.5,)]

    def test_a_sync_without_rows_changes_nothing(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        before = types(query)
        stream = ORDERS.replace(
            schema={"properties": {"id": {"type": "string"}, "n": {"type": "string"}}}
        )
        for mode in REFUSES:
            load(orders, stream=stream, schema_contract=mode)
        more = ORDERS.replace(
            schema={"properties": {"id": {"type": "integer"}, "more": {"type": "string"}}}
        )
        with pytest.raises(SchemaConflictError, match=r"'orders', field 'more'"):
            load(orders, stream=more, schema_contract="freeze")
        load(orders, stream=more, schema_contract="discard_row")
        assert types(query) == before
        assert load(orders, order(2), schema_contract="freeze").rows_in_table == 2

    def test_mages_switch_freezes_the_types(self, orders: DuckDBDestination, query: Query) -> None:
        checked = ORDERS.replace(disable_column_type_check=False)
        load(orders, order(2, colour="red"), stream=checked)
        with pytest.raises(SchemaConflictError, match="'n'"):
            load(orders, order(3, n="x"), stream=checked)
        load(orders, order(3, n="x"), stream=checked, schema_contract="evolve")
        load(orders, order(4, colour=7.5), stream=ORDERS.replace(disable_column_type_check=True))
        assert types(query)["n"] == "VARCHAR"


class TestReplace:
    def test_the_table_that_is_there_is_what_counts(
        self, warehouse: DuckDBDestination, query: Query
    ) -> None:
        load(warehouse, {"id": 1, "n": 1, "name": "a"}, stream=CITIES)
        rows = [{"id": 2, "n": "x", "more": 1}, {"id": 3, "n": 3}]
        with pytest.raises(SchemaConflictError, match="'n'"):
            load(warehouse, *rows, stream=CITIES, schema_contract="freeze")
        assert query("SELECT id FROM shop.cities") == [(1,)]
        result = load(warehouse, *rows, stream=CITIES, schema_contract="discard_value")
        assert types(query, "shop.cities") == {"id": "BIGINT", "n": "BIGINT", "name": "VARCHAR"}
        assert query("SELECT id, n, name FROM shop.cities ORDER BY id") == [
            (2, None, None),
            (3, 3, None),
        ]
        assert (result.rejected, result.schema_changes) == (1, [])

    def test_types_stay_though_no_value_comes(
        self, warehouse: DuckDBDestination, query: Query
    ) -> None:
        load(warehouse, {"id": 1, "n": 1}, stream=CITIES)
        for rows in ([{"id": 1, "n": None}], []):
            load(warehouse, *rows, stream=CITIES, schema_contract="freeze")
            assert types(query, "shop.cities") == {"id": "BIGINT", "n": "BIGINT"}

    def test_columns_may_change_while_types_may_not(
        self, warehouse: DuckDBDestination, query: Query
    ) -> None:
        load(warehouse, {"id": 1, "n": 1, "gone": 1}, stream=CITIES)
        load(
            warehouse,
            {"id": 2.0, "more": "x"},
            stream=CITIES,
            schema_contract={"data_type": "freeze"},
        )
        assert types(query, "shop.cities") == {"id": "BIGINT", "more": "VARCHAR"}

    def test_a_full_refresh_keeps_to_the_contract(self, orders: DuckDBDestination) -> None:
        reads = read([order(1, n="x")], ORDERS)
        start = resolve_start(reads, orders, full_refresh=True)
        with pytest.raises(SchemaConflictError, match="'n'"):
            sync(reads, orders, start=start, schema_contract="freeze")


class TestArrow:
    def given(self, table: Any, stream: Stream = ORDERS) -> StreamRead:
        source = Rows([], name="shop")
        source.load_data = lambda *args, **kwargs: iter([table])  # type: ignore[method-assign]
        return StreamRead(source, stream)

    def test_offending_values_of_a_table_are_found(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        table = pa.table(
            {
                "id": [2, 3, 4],
                "seq": [2, 3, 4],
                "n": [2.0, 2.5, None],
                "colour": ["red", None, None],
            }
        )
        result = sync(
            self.given(table), orders, schema_contract="discard_value", keep_rejected=True
        )
        assert query("SELECT id, n FROM shop.orders ORDER BY id") == [
            (1, 1),
            (2, 2),
            (3, None),
            (4, None),
        ]
        assert {one.field for one in result.rejections} == {"n", "colour"}
        assert query("SELECT record FROM shop.orders__rejected WHERE field = 'n'") == [
            ('{"id":3,"seq":3,"n":2.5,"colour":null}',)
        ]

    def test_a_data_frame_whose_integers_became_doubles_fits(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        frame = pd.DataFrame({"id": [2, 3], "seq": [2, 3], "n": [2.0, np.nan]})
        assert sync(self.given(frame), orders, schema_contract="freeze").rejected == 0
        assert query("SELECT n FROM shop.orders ORDER BY id") == [(1,), (2,), (None,)]

    def test_finer_instants_fit_where_their_digits_are_zero(
        self, warehouse: DuckDBDestination, query: Query
    ) -> None:
        stream = Stream("ticks", primary_key="id", replication_key="id")
        load(warehouse, {"id": 1, "at": datetime(2026, 1, 1, tzinfo=UTC)}, stream=stream)
        at = pa.array([1_000_000_000_000, 1_000_000_000_001], pa.timestamp("ns", "UTC"))
        result = sync(
            self.given(pa.table({"id": [2, 3], "at": at}), stream),
            warehouse,
            schema_contract="discard_row",
        )
        assert (result.rejected, query("SELECT id FROM shop.ticks ORDER BY id")) == (
            1,
            [(1,), (2,)],
        )

    def test_a_frozen_table_takes_what_fits_in_chunks(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        rows = [order(n) for n in range(2, 500)]
        chunks = [pa.Table.from_pylist(rows[:100]), pa.Table.from_pylist(rows[100:])]
        assert (
            sync(
                self.given(pa.concat_tables(chunks)), orders, schema_contract="freeze"
            ).rows_in_table
            == 499
        )


class TestKept:
    def test_the_record_is_kept_exactly(self, orders: DuckDBDestination, query: Query) -> None:
        row = order(
            2,
            n="x",
            big=2**70,
            cents=Decimal("1.10"),
            text="é\0\ud800",
            nested={"a": [1, float("nan")]},
        )
        result = load(orders, row, schema_contract="discard_row", keep_rejected=True)
        kept = query(
            "SELECT load_id, stream, field, reason, left_out, record, rejected_at IS NOT NULL "
            "FROM shop.orders__rejected WHERE field = 'n'"
        )
        record = (
            '{"id":2,"seq":2,"name":"o2","n":"x","big":1180591620717411303424,"cents":1.10,'
            '"text":"é\\u0000\\ud800","nested":{"a":[1,"nan"]}}'
        )
        assert kept == [(result.load_id, "orders", "n", "does not fit BIGINT", "row", record, True)]

    def test_a_deselected_column_is_not_kept(self, orders: DuckDBDestination, query: Query) -> None:
        stream = ORDERS.replace(columns=["id", "seq", "n"])
        load(
            orders,
            order(2, n="x", private="t0p"),
            stream=stream,
            schema_contract="discard_row",
            keep_rejected=True,
        )
        assert query("SELECT record FROM shop.orders__rejected") == [('{"id":2,"seq":2,"n":"x"}',)]

    def test_nothing_is_kept_unasked(self, orders: DuckDBDestination, query: Query) -> None:
        load(orders, order(2, n="x"), schema_contract="discard_row")
        assert query("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%rejected'") == [
            (0,)
        ]

    def test_it_survives_replaces(self, warehouse: DuckDBDestination, query: Query) -> None:
        load(warehouse, {"id": 1}, stream=CITIES)
        for _ in range(2):
            load(
                warehouse,
                {"id": "x"},
                {"id": 2},
                stream=CITIES,
                schema_contract="discard_row",
                keep_rejected=True,
            )
        assert query("SELECT count(*), count(DISTINCT load_id) FROM shop.cities__rejected") == [
            (2, 2)
        ]
        assert query("SELECT id FROM shop.cities") == [(2,)]

    def test_at_checkpoints_each_commit_brings_its_own(
        self, warehouse: DuckDBDestination, query: Query
    ) -> None:
        load(warehouse, {"seq": 0, "n": 0}, stream=EVENTS)
        source = Rows([], name="shop")
        cuts = [
            Batch([{"seq": s, "n": "x" if s % 2 else s}], bookmark={"seq": s}) for s in range(1, 7)
        ]
        source.load_data = lambda *args, **kwargs: iter(cuts)  # type: ignore[method-assign]
        contract: dict[str, Any] = {"schema_contract": "discard_row", "keep_rejected": True}
        result = sync(StreamRead(source, EVENTS), warehouse, checkpoint_seconds=0, **contract)
        assert (result.commits, result.rejected, result.rejections[0].rows) == (7, 3, 3)
        assert query("SELECT record FROM shop.events__rejected ORDER BY 1") == [
            (f'{{"seq":{s},"n":"x"}}',) for s in (1, 3, 5)
        ]
        assert query("SELECT seq FROM shop.events ORDER BY 1") == [(0,), (2,), (4,), (6,)]

    def test_many_are_spilled_to_files(self, path: Path, query: Query) -> None:
        warehouse = DuckDBDestination(str(path), staging_memory_bytes=1000)
        load(warehouse, order(1))
        rows = [order(n, n="x" * 100) for n in range(2, 200)]
        sync(
            read(rows, ORDERS, batch=10),
            warehouse,
            schema_contract="discard_row",
            keep_rejected=True,
        )
        assert query("SELECT count(*), count(DISTINCT record) FROM shop.orders__rejected") == [
            (198, 198)
        ]
        assert [one.name for one in path.parent.iterdir()] == [path.name]

    @pytest.mark.parametrize("point", ["altered", "rows", "state"])
    def test_rejected_records_are_in_the_transaction_of_the_rows(
        self, point: str, orders: DuckDBDestination, query: Query, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        options: dict[str, Any] = {"schema_contract": "discard_row", "keep_rejected": True}
        monkeypatch.setattr("etl_assets.faults._passed", Counter())
        monkeypatch.setenv("ETL_ASSETS_FAULT", f"{point}:1:raise")
        with pytest.raises(FaultError):
            load(orders, order(2), order(3, n="x"), **options)
        monkeypatch.delenv("ETL_ASSETS_FAULT")
        assert query("SELECT count(*) FROM duckdb_tables() WHERE table_name LIKE '%rejected'") == [
            (0,)
        ]
        load(orders, order(2), order(3, n="x"), **options)
        assert query("SELECT count(*) FROM shop.orders__rejected") == [(1,)]

    def test_a_rewind_takes_them_back(self, warehouse: DuckDBDestination, query: Query) -> None:
        options: dict[str, Any] = {
            "stream": EVENTS,
            "schema_contract": "discard_row",
            "keep_rejected": True,
        }
        first = load(
            warehouse,
            {"seq": 1, "n": 1},
            {"seq": 2, "n": "x"},
            stream=EVENTS.replace(
                schema={"properties": {"seq": {"type": "integer"}, "n": {"type": "integer"}}}
            ),
            schema_contract="discard_row",
            keep_rejected=True,
        )
        load(warehouse, {"seq": 3, "n": "y"}, {"seq": 4, "n": 4}, **options)
        assert query("SELECT count(*) FROM shop.events__rejected") == [(2,)]
        (state,) = warehouse.states()
        warehouse.rewind(state, first.load_id)
        assert query("SELECT load_id FROM shop.events__rejected") == [(first.load_id,)]
        load(warehouse, {"seq": 3, "n": "y"}, {"seq": 4, "n": 4}, **options)
        assert query("SELECT count(*) FROM shop.events__rejected") == [(2,)]
        assert query("SELECT seq FROM shop.events ORDER BY 1") == [(1,), (4,)]

    def test_somebody_elses_table_is_not_touched(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        query("CREATE TABLE shop.orders__rejected (x INTEGER)")
        with pytest.raises(DestinationError, match=r"orders__rejected.*not made by this library"):
            load(orders, order(2, n="x"), schema_contract="discard_row", keep_rejected=True)
        assert query("SELECT id FROM shop.orders") == [(1,)]

    def test_another_stream_cannot_take_its_table(self, orders: DuckDBDestination) -> None:
        load(orders, order(2, n="x"), schema_contract="discard_row", keep_rejected=True)
        result = load(orders, {"id": 1}, stream=Stream("orders__rejected"))
        assert re.fullmatch(r'"shop"\."orders__rejected_[0-9a-f]{8}"', result.table)

    def test_there_must_be_something_to_keep(self, orders: DuckDBDestination) -> None:
        with pytest.raises(ConfigError, match=r"'orders'.*nothing to keep"):
            load(orders, order(2), schema_contract="freeze", keep_rejected=True)


class Sent(Destination):
    def __init__(self) -> None:
        super().__init__()
        self.sent: list[dict[str, Any]] = []

    def export_batch_data(
        self, record_data: list[dict[str, Any]], stream: str, tags: Any = None
    ) -> None:
        self.sent += [item["record"] for item in record_data]


class ArrowSent(Sent):
    capabilities = Capabilities(encoding="arrow")

    def export(self, batch: Batch, load: Any) -> None:
        self.sent += batch.to_arrow(load.stream).to_pylist()


class TestRowDestinations:
    @pytest.mark.parametrize("made", [Sent, ArrowSent])
    def test_what_does_not_fit_the_declared_schema_is_left_out(self, made: type[Sent]) -> None:
        rows = [{"id": 1, "n": "x", "more": 1}, {"id": 2, "n": 2}, {"id": "a", "n": 3}]
        place = made()
        result = load(place, *rows, stream=DECLARED, schema_contract="discard_value")
        assert [(row["id"], row["n"], "more" in row) for row in place.sent] == [
            (1, None, False),
            (2, 2, False),
        ]
        assert (result.rejected, result.records_loaded) == (2, 2)
        place = made()
        result = load(place, *rows, stream=DECLARED, schema_contract="discard_row")
        assert [row["id"] for row in place.sent] == [2]
        assert result.rejected == 2

    @pytest.mark.parametrize("made", [Sent, ArrowSent])
    def test_freeze_refuses_before_anything_is_sent(self, made: type[Sent]) -> None:
        place = made()
        with pytest.raises(SchemaConflictError, match=r"'things', field 'n'.*1\.5"):
            load(
                place,
                {"id": 1, "n": 1},
                {"id": 1, "n": 1.5},
                stream=DECLARED,
                schema_contract="freeze",
            )
        assert place.sent == []

    def test_records_cannot_be_kept_there(self) -> None:
        with pytest.raises(ConfigError, match=r"'things'.*keep_rejected"):
            load(Sent(), stream=DECLARED, schema_contract="discard_row", keep_rejected=True)

    def test_a_session_of_somebody_elses_says_that_it_knows_no_contract(self) -> None:
        with pytest.raises(UnsupportedWriteError, match=r"'things'.*_MemorySession"):
            load(MemoryDestination(), {"id": 1}, stream=DECLARED, schema_contract="freeze")


class TestWords:
    def test_one_mode_or_one_for_each(self) -> None:
        assert SchemaContract.of("freeze") == SchemaContract(
            ContractMode.FREEZE, ContractMode.FREEZE
        )
        both = SchemaContract.of({"data_type": "discard_row"})
        assert both.spelled() == {"columns": "evolve", "data_type": "discard_row"}
        assert SchemaContract.of(both.spelled()) == both
        assert SchemaContract.of(None).evolves

    @pytest.mark.parametrize(
        ("given", "message"),
        [
            ("freez", r"'freez'.*Did you mean 'freeze'"),
            ({"column": "freeze"}, r"'column'.*Did you mean 'columns'"),
            ({"columns": "discard_rows"}, r"'discard_rows'.*Did you mean 'discard_row'"),
            (7, "cannot be 7"),
        ],
    )
    def test_others_are_refused(self, given: Any, message: str) -> None:
        with pytest.raises(ConfigError, match=message):
            SchemaContract.of(given)


class TestConflicts:
    def test_without_a_contract_too_stream_field_and_column_are_named(
        self, warehouse: DuckDBDestination
    ) -> None:
        load(warehouse, {"Blob Of": b"a"}, stream=CITIES, strategy="append")
        with pytest.raises(
            SchemaConflictError, match=r"stream 'cities', field 'Blob Of' \(column \"blob_of\"\)"
        ) as raised:
            load(warehouse, {"Blob Of": "a"}, stream=CITIES, strategy="append")
        assert "binary and string" in str(raised.value)
        assert (raised.value.stream, raised.value.field) == ("cities", "Blob Of")

    def test_within_one_load_too(self, warehouse: DuckDBDestination) -> None:
        with pytest.raises(SchemaConflictError, match="stream 'cities', field 'x'"):
            sync(read([{"x": b"a"}, {"x": "a"}], CITIES, batch=1), warehouse)

    def test_two_streams_of_one_source_with_one_table(self, warehouse: DuckDBDestination) -> None:
        load(warehouse, {"x": 1}, stream=Stream("Users"))
        table = warehouse.table_for("shop", Stream("Users"))
        with pytest.raises(
            DestinationError,
            match=r"two of its streams have one table name.*\"people\": {\"table\"",
        ) as raised:
            load(warehouse, {"x": 1}, stream=Stream("people"), table=table)
        assert "renamed" not in str(raised.value)


class TestOfEachType:
    COLUMNS: dict[str, Any] = {
        "list": pa.array([[1, 2]]),
        "struct": pa.array([{"a": 1, "b": "x"}]),
        "map": pa.array([[("k", 1)]], pa.map_(pa.string(), pa.int64())),
        "uuid": pa.array([bytes(range(16))], pa.uuid()),
        "float": pa.array([1.5], pa.float32()),
        "uint8": pa.array([1], pa.uint8()),
        "time": pa.array([1], pa.time64("us")),
        "nanoseconds": pa.array([1], pa.timestamp("ns")),
        "duration": pa.array([1], pa.duration("us")),
        "decimal": pa.array([Decimal("1.10")]),
        "json": pa.array(['{"a":1}'], pa.json_(pa.utf8())),
        "dictionary": pa.array(["a"]).dictionary_encode(),
        "large": pa.array(["a"], pa.large_string()),
        "bytes": pa.array([b"1"]),
        "zone": pa.array([1], pa.timestamp("s", "Europe/Berlin")),
        "date": pa.array([0], pa.date64()),
    }

    @pytest.mark.parametrize("mode", ["evolve", "freeze", "discard_row"])
    def test_what_came_once_fits_again(self, mode: str, warehouse: DuckDBDestination) -> None:
        def given() -> StreamRead:
            source = Rows([], name="shop")
            source.load_data = lambda *args, **kwargs: iter([pa.table(self.COLUMNS)])  # type: ignore[method-assign]
            return StreamRead(source, CITIES)

        sync(given(), warehouse, strategy="append")
        again = sync(given(), warehouse, strategy="append", schema_contract=mode)
        assert (again.rejected, again.rejections, again.schema_changes) == (0, [], [])
        first, second = (
            warehouse.read_table(warehouse.table_for("shop", CITIES))
            .select(list(self.COLUMNS))
            .to_pylist()
        )
        assert first == second

    def test_a_table_that_somebody_changes_meanwhile_is_refused(
        self, orders: DuckDBDestination, query: Query
    ) -> None:
        source = Rows([], name="shop")

        def rows() -> Any:
            yield [order(2)]
            query("ALTER TABLE shop.orders DROP COLUMN n")

        source.load_data = lambda *args, **kwargs: rows()  # type: ignore[method-assign]
        with pytest.raises(SchemaConflictError, match=r"'orders', field 'n'.*not there"):
            sync(StreamRead(source, ORDERS), orders, schema_contract="discard_row")
        assert query("SELECT id FROM shop.orders") == [(1,)]
