"""Hints of syncs and tables, each followed by the option that it names, in a run of Dagster."""

from pathlib import Path
from typing import Any, ClassVar

import dagster as dg
import duckdb
import pytest

from etl_assets import (
    Catalog,
    Destination,
    DuckDBDestination,
    Stream,
    StreamTranslator,
    stream_assets,
)
from etl_assets.cli import main
from etl_assets.exceptions import ConfigError
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead, MemoryDestination
from tests.assets.shop import Shop, failure_text, people, person, run
from tests.hints.following import hint_of


class World:
    """A shop, a warehouse and a project that loads one into the other."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "w.duckdb"
        self.instance = dg.DagsterInstance.ephemeral()
        self.shop = Shop(
            {"customers": people(3), "visits": [{"at": "2026-01-01"}], "countries": [{"id": 1}]}
        )

    def run(
        self, stream: str = "customers", config: Any = None, **arguments: Any
    ) -> dg.ExecuteInProcessResult:
        assets = stream_assets(
            arguments.pop("source", self.shop),
            arguments.pop("streams", [stream]),
            destination=arguments.pop("destination", None) or DuckDBDestination(str(self.path)),
            **arguments,
        )
        return run(assets, self.instance, config={f"shop__{stream}": config} if config else None)

    def hint(
        self, words: str, stream: str = "customers", config: Any = None, **arguments: Any
    ) -> str:
        """Return the text of a failure, which holds these words."""
        result = self.run(stream, config, **arguments)
        assert not result.success
        assert words in failure_text(result)
        return failure_text(result)

    def sql(self, statement: str) -> list[Any]:
        with duckdb.connect(str(self.path)) as connection:
            return connection.execute(statement).fetchall()

    def ids(self, table: str = "shop.customers") -> list[Any]:
        return [row[0] for row in self.sql(f"SELECT id FROM {table} ORDER BY 1")]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestATableThatIsAnothers:
    @pytest.fixture(autouse=True)
    def table(self, world: World) -> None:
        world.sql("CREATE SCHEMA shop")
        world.sql("CREATE TABLE shop.customers (id BIGINT, name VARCHAR, updated_at VARCHAR)")

    def test_it_is_taken_over_by_adopt(self, world: World) -> None:
        world.hint("take this one over with adopt=True")
        assert world.run(options={"customers": {"adopt": True}}).success
        assert world.ids() == [1, 2, 3]

    def test_another_table_is_chosen(self, world: World) -> None:
        world.hint("Choose another table")
        assert world.run(options={"customers": {"table": "shop.others"}}).success
        assert world.ids("shop.others") == [1, 2, 3]


class TestATableThatSomebodyChanged:
    @pytest.fixture(autouse=True)
    def dropped(self, world: World) -> None:
        assert world.run().success
        world.sql("DROP TABLE shop.customers")

    def test_a_full_refresh_loads_it_anew(self, world: World) -> None:
        world.hint("Load it anew with `full_refresh`")
        assert world.run(config={"full_refresh": True}).success
        assert world.ids() == [1, 2, 3]

    def test_an_option_does_so_always(self, world: World) -> None:
        world.hint('on_table_changed="full_refresh"')
        assert world.run(options={"customers": {"on_table_changed": "full_refresh"}}).success
        assert world.ids() == [1, 2, 3]


class TestAMergeWithoutAKey:
    @pytest.mark.parametrize(
        "then",
        [{"primary_key": ["at"]}, {"write_strategy": "append"}, {"write_strategy": "replace"}],
    )
    def test_each_way_out(self, then: dict[str, Any], world: World) -> None:
        hint = world.hint(
            "a merge needs a primary key", "visits", options={"visits": {"write_strategy": "merge"}}
        )
        assert "Declare primary_key on the stream, or use append or replace." in hint
        assert world.run("visits", options={"visits": {"write_strategy": "merge", **then}}).success
        assert world.sql('SELECT "at" FROM shop.visits') == [("2026-01-01",)]


FULL = {"full_refresh": True}
MERGED = {"primary_key": ["id"], "write_strategy": "merge"}


class TestACutRead:
    @pytest.mark.parametrize(("then", "limit"), [({}, None), (MERGED, 1)])
    def test_of_what_is_replaced(
        self, then: dict[str, Any], limit: int | None, world: World
    ) -> None:
        hint = world.hint("cannot replace the table", "countries", {"limit": 1})
        assert "Leave the cut out, or set the write strategy to append or merge." in hint
        assert world.run(
            "countries", {"limit": limit} if limit else None, options={"countries": then}
        ).success
        assert world.ids("shop.countries") == [1]

    @pytest.mark.parametrize(("then", "limit"), [({"write_strategy": "append"}, None), (MERGED, 1)])
    def test_of_what_is_appended(
        self, then: dict[str, Any], limit: int | None, world: World
    ) -> None:
        appended = {"countries": {"write_strategy": "append"}}
        hint = world.hint("moves no bookmark here", "countries", {"limit": 1}, options=appended)
        assert "Leave the cut out, or give the stream a primary key and merge." in hint
        assert world.run(
            "countries", {"limit": limit} if limit else None, options={"countries": then}
        ).success
        assert world.ids("shop.countries") == [1]


@pytest.mark.parametrize("then", [None, "append", "merge"])
def test_a_given_bookmark_does_not_replace(then: str | None, world: World) -> None:
    config = {"bookmark": {"updated_at": "2026-01-02"}}
    options = {"customers": {"write_strategy": "replace"}}
    hint = world.hint("a read from a given bookmark cannot replace", config=config, options=options)
    assert "Leave the bookmark out, or set the write strategy to append or merge." in hint
    if then is not None:
        options = {"customers": {"write_strategy": then}}
    assert world.run(config=None if then is None else config, options=options).success
    assert world.ids() == ([1, 2, 3] if then is None else [2, 3])


def test_keep_bookmark_goes_with_a_bookmark(world: World) -> None:
    world.hint(
        "Give the `bookmark` to read from, too, or leave keep_bookmark out",
        config={"keep_bookmark": True},
    )
    assert world.run(
        config={"keep_bookmark": True, "bookmark": {"updated_at": "2026-01-02"}}
    ).success
    assert world.ids() == [2, 3]
    assert world.run(config={}).success


class TestASchemaContract:
    @pytest.fixture(autouse=True)
    def first(self, world: World) -> None:
        assert world.run().success
        world.shop.rows["customers"].append({**person(4), "name": 4, "more": 1})

    @pytest.mark.parametrize(
        ("mode", "rows"),
        [("evolve", [(4, "4")]), ("discard_value", [(4, "4")]), ("discard_row", [])],
    )
    def test_the_modes_that_the_hint_names(self, mode: str, rows: list[Any], world: World) -> None:
        assert f'"{mode}"' in world.hint("schema_contract says freeze", schema_contract="freeze")
        assert world.run(schema_contract=mode).success
        assert world.sql("SELECT id, name FROM shop.customers WHERE id = 4") == rows

    def test_its_spellings(self, world: World) -> None:
        with pytest.raises(ConfigError) as caught:
            world.run(schema_contract=5)
        assert (
            caught.value.hint == 'Write "freeze", or {"columns": "evolve", "data_type": "freeze"}.'
        )
        assert not world.run(schema_contract="freeze").success
        del world.shop.rows["customers"][-1]["name"]
        assert world.run(schema_contract={"columns": "evolve", "data_type": "freeze"}).success

    @pytest.mark.parametrize("mode", ["discard_row", "discard_value"])
    def test_what_is_kept_has_to_be_rejected(self, mode: str, world: World) -> None:
        with pytest.raises(ConfigError, match="keep_rejected has nothing to keep") as caught:
            world.run(options={"customers": {"keep_rejected": True}})
        assert f'"{mode}"' in str(caught.value)
        assert world.run(
            options={"customers": {"keep_rejected": True, "schema_contract": mode}}
        ).success
        assert world.sql("SELECT count(*) FROM shop.customers__rejected") == [(1,)]


class Sink(Destination):
    """Keeps no state."""

    name = "sink"

    def export_batch_data(self, record_data: Any, stream: Any, tags: Any = None) -> None:
        del record_data, stream, tags


def test_what_is_kept_needs_a_destination_that_can(world: World) -> None:
    options = {"customers": {"keep_rejected": True, "schema_contract": "discard_row"}}
    with pytest.raises(ConfigError, match="Leave keep_rejected out"):
        world.run(destination=Sink(), options=options)
    del options["customers"]["keep_rejected"]
    assert world.run(destination=Sink(), options=options).success


class TestUnorderedRows:
    def test_a_source_that_says_so_is_read(self, world: World) -> None:
        rows = [person(2), person(1)]
        world.shop.after = lambda stream, bookmark: rows  # type: ignore[method-assign]
        world.shop.is_sorted = True
        world.hint("set `is_sorted = False` on it")
        world.shop.is_sorted = False
        assert world.run().success
        assert world.ids() == [1, 2]


class TestDefinitions:
    """Hints about `stream_assets`, whose arguments name what is to be done."""

    def test_a_place(self, world: World) -> None:
        with pytest.raises(ConfigError, match=r"destination=DuckDBDestination.* io_manager_key="):
            stream_assets(world.shop, ["customers"])
        assert stream_assets(world.shop, ["customers"], io_manager_key="warehouse")
        assert world.run().success

    def test_a_name(self, world: World) -> None:
        class Nameless(Shop):
            def __init__(self) -> None:
                super().__init__({"customers": people(3)}, name=None)

        with pytest.raises(ConfigError, match=r'name="..." here'):
            world.run(source=Nameless())
        assert world.run(source=Nameless(), name="shop").success
        assert world.ids() == [1, 2, 3]

    def test_streams(self, world: World) -> None:
        with pytest.raises(ConfigError, match=r'streams=\["orders"\]'):
            world.run(streams=5)
        with pytest.raises(ConfigError, match=r'streams=\["orders"\]'):
            world.run(streams=[5])
        assert world.run(streams=["orders"]).success
        with pytest.raises(
            ConfigError, match=r'Give its name, "orders", and the stream by catalog='
        ):
            world.run(streams=[Stream("orders")])
        assert world.run(streams=["orders"], catalog=Catalog([Stream("orders")])).success
        with pytest.raises(ConfigError, match=r'Name some: streams=\["..."\]'):
            world.run(streams=None, catalog=Catalog([Stream("orders").replace(selected=False)]))
        assert world.run(
            streams=["orders"], catalog=Catalog([Stream("orders").replace(selected=False)])
        ).success

    def test_options_have_this_form(self, world: World) -> None:
        with pytest.raises(ConfigError, match=r'options=\{"orders": \{"primary_key": \["id"\]\}\}'):
            world.run("orders", options=[])
        assert world.run("orders", options={"orders": {"primary_key": ["id"]}}).success

    def test_a_table(self, world: World) -> None:
        with pytest.raises(ConfigError) as caught:
            world.run(options={"customers": {"table": 5}})
        assert str(caught.value.hint).startswith(
            'Write "schema.table", or {"schema": "schema", "name": "table"} where'
        )
        assert world.run(options={"customers": {"table": "schema.table"}}).success
        assert world.ids('"schema"."table"') == [1, 2, 3]
        world.shop.rows["orders"] = people(2)
        assert world.run(
            "orders", options={"orders": {"table": {"schema": "schema", "name": "ta.ble"}}}
        ).success
        assert world.ids('"schema"."ta.ble"') == [1, 2]

    def test_two_streams_of_one_table(self, world: World) -> None:
        both = {"orders": {"table": "one.t"}, "customers": {"table": "one.t"}}
        with pytest.raises(ConfigError, match=r'options=\{"(\w+)": \{"table"') as caught:
            world.run(streams=["customers", "orders"], options=both)
        named = "orders" if '{"orders"' in str(caught.value) else "customers"
        both[named] = {"table": "one.u"}
        assert world.run(streams=["customers", "orders"], options=both).success

    def test_two_streams_of_one_key(self, world: World) -> None:
        class Same(StreamTranslator):
            def get_asset_key(self, context: Any) -> dg.AssetKey:
                return dg.AssetKey("same")

        with pytest.raises(ConfigError, match="another key, with a translator"):
            world.run(streams=["customers", "orders"], translator=Same())
        assert world.run(streams=["customers", "orders"], translator=StreamTranslator()).success

    def test_granularity(self, world: World) -> None:
        with pytest.raises(ConfigError, match='It is "stream" or "source"'):
            world.run(granularity="table")
        options: dict[str, Any] = {"customers": {"pool": "p"}}
        streams = ["customers", "orders"]
        with pytest.raises(
            ConfigError,
            match=r'defaults=StreamOptions\(...\), or read each by itself with granularity="stream"',
        ):
            world.run(granularity="source", streams=streams, options=options)
        assert world.run(granularity="source", defaults={"pool": "p"}).success
        assert world.run(granularity="stream", options=options).success

    def test_a_split(self, world: World) -> None:
        said: list[tuple[dict[str, Any], str]] = [
            ({"split": 1}, "Give a whole number from 2 on"),
            ({"split": 2, "primary_key": []}, "Declare primary_key on the stream"),
            ({"split": 2, "replication_key": []}, "Declare replication_key on the stream"),
            ({"split": 2, "write_strategy": "append"}, 'Use write_strategy="merge"'),
            ({"split": 2, "schema_contract": "freeze"}, "Leave out one of them"),
        ]
        for options, hint in said:
            with pytest.raises(ConfigError, match=hint):
                world.run(options={"customers": options})
        with pytest.raises(ConfigError, match="Leave split out"):
            world.run(granularity="source", options={"customers": {"split": 2}})
        assert world.run(granularity="source", options={"customers": {}}).success


class TestTheStateOnTheCommandLine:
    """Commands that hints name."""

    def state(self, world: World, *words: str) -> int:
        return main(["state", *words, "--duckdb", str(world.path)])

    def test_a_bookmark_of_other_keys(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert world.run().success
        assert self.state(world, "set", "shop/customers", '{"sec": "x"}') == 1
        assert "With --force it is stored all the same." in capsys.readouterr().err
        assert self.state(world, "set", "shop/customers", '{"sec": "x"}', "--force") == 0

    def test_the_form_of_a_bookmark_and_of_a_name(
        self, world: World, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert world.run().success
        assert self.state(world, "set", "shop/customers", "5") == 1
        assert 'Such as {"updated_at": "2026-01-01"}.' in capsys.readouterr().err
        assert self.state(world, "set", "shop/customers", '{"updated_at": "2026-01-01"}') == 0
        assert self.state(world, "get", "customers/") == 1
        assert self.state(world, "get", "shop/customers") == 0
        assert '{"updated_at": "2026-01-01"}' in capsys.readouterr().out

    def test_an_append_after_a_merge_and_a_reset(self, world: World) -> None:
        assert world.run().success
        world.hint(
            "or begin to append after `etl-assets state reset`",
            options={"customers": {"write_strategy": "append"}},
        )
        assert world.run().success  # goes on merging
        assert self.state(world, "reset", "shop/customers") == 0
        assert world.run(options={"customers": {"write_strategy": "append"}}).success
        assert world.run(options={"customers": {"write_strategy": "append"}}).success
        assert world.ids() == [1, 2, 3]


class TestAContractWhoseTableLacksAColumn:
    """Of a key column, which cannot be left out as other columns are."""

    OPTIONS: ClassVar[dict[str, Any]] = {"customers": {"primary_key": ["id", "shop"]}}

    @pytest.fixture(autouse=True)
    def first(self, world: World) -> None:
        assert world.run(options={"customers": {"primary_key": ["id"]}}).success
        world.shop.rows["customers"] = [{**row, "shop": 7} for row in people(4)]
        hint = "Add the column to the table, or let columns evolve for one sync."
        world.hint(
            hint, schema_contract={"columns": "discard_value"}, options=self.OPTIONS, config=FULL
        )

    def test_it_is_added(self, world: World) -> None:
        world.sql("ALTER TABLE shop.customers ADD COLUMN shop BIGINT")
        assert world.run(
            schema_contract={"columns": "discard_value"}, options=self.OPTIONS, config=FULL
        ).success
        assert world.sql("SELECT DISTINCT shop FROM shop.customers") == [(7,)]

    def test_columns_evolve_for_one_sync(self, world: World) -> None:
        assert world.run(
            schema_contract={"columns": "evolve"}, options=self.OPTIONS, config=FULL
        ).success
        assert world.run(schema_contract={"columns": "discard_value"}, options=self.OPTIONS).success
        assert world.sql("SELECT DISTINCT shop FROM shop.customers") == [(7,)]


def test_a_declared_column_without_rows_is_accepted_for_one_sync(world: World) -> None:
    def with_columns(*names: str) -> Catalog:
        fields = {name: {"type": ["null", "integer"]} for name in names}
        return Catalog([Stream("orders", primary_key="id", schema={"properties": fields})])

    world.shop.rows["orders"] = [{"id": 1}]
    assert world.run("orders", catalog=with_columns("id"), schema_contract="freeze").success
    world.shop.rows["orders"] = []
    hint = 'Accept the change with schema_contract="evolve" for one sync.'
    world.hint(hint, "orders", catalog=with_columns("id", "more"), schema_contract="freeze")
    assert world.run("orders", catalog=with_columns("id", "more"), schema_contract="evolve").success
    assert world.run("orders", catalog=with_columns("id", "more"), schema_contract="freeze").success
    world.shop.rows["orders"] = [{"id": 1, "more": 2}]
    assert world.run("orders", catalog=with_columns("id", "more"), schema_contract="freeze").success
    assert world.sql("SELECT id, more FROM shop.orders") == [(1, 2)]


@pytest.mark.parametrize("then", [{}, {"schema_contract": "evolve"}])
def test_a_session_of_somebody_that_knows_no_contract(then: dict[str, Any]) -> None:
    place = MemoryDestination()
    read = GivenRead(Stream("orders"), [[{"id": 1}]])
    hint = hint_of(lambda: sync(read, place, schema_contract="freeze"))
    assert hint == 'Leave schema_contract out, or set it to "evolve".'
    assert sync(read, place, **then).records_loaded == 1


@pytest.mark.parametrize(("granularity", "query"), [("source", None), ("stream", {"_limit": 1})])
def test_a_cut_read_of_many_streams(
    granularity: str, query: dict[str, Any] | None, world: World
) -> None:
    def shop(query: dict[str, Any] | None) -> Shop:
        return Shop({"customers": people(3)}, query=query)

    hint = 'Leave the cut out, or read it with granularity="stream".'
    world.hint(hint, source=shop({"_limit": 1}), granularity="source")
    assert world.run(source=shop(query), granularity=granularity).success
    assert world.ids() == ([1, 2, 3] if query is None else [1])


class Forgotten(Shop):
    """A shop whose author has forgotten the `yield`, until it is set."""

    returned: Any = None

    def load_data(self, *args: Any, **kwargs: Any) -> Any:
        return self.returned


def test_a_forgotten_yield_empties_no_table(world: World) -> None:
    assert world.run("countries").success
    forgotten = Forgotten()
    world.hint("`load_data` of 'shop' returned None", "countries", source=forgotten)
    assert world.ids("shop.countries") == [1]
    forgotten.returned = [[{"id": 2}]]
    assert world.run("countries", source=forgotten).success
    assert world.ids("shop.countries") == [2]
    forgotten.returned = []
    assert world.run("countries", source=forgotten).success
    assert world.ids("shop.countries") == []
