"""Hints about stored states and shared ones, each followed by the command or the refresh that it names."""

import json
import shlex
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from etl_assets import Destination, SqlSource, StreamRead, stream_assets
from etl_assets.cli import main
from etl_assets.exceptions import BookmarkError
from etl_assets.model.bookmarks.appending import BOUNDARY
from etl_assets.sync import resolve_start, sync
from etl_assets.sync_source import StreamPlan
from tests.assets.shop import Shop, event, failure_text, people, run
from tests.cli_shop import CUSTOMERS, NAMED, VISITS, load, project, run_sql, warehouse
from tests.hints.following import hint_of
from tests.many import A, B, Scripted, ends, numbers, rows, shared, state
from tests.many import load as load_all

Capture = pytest.CaptureFixture[str]


class Sink(Destination):
    """Keeps no state."""

    name = "sink"

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[Any] = []

    def export_batch_data(self, record_data: Any, stream: Any, tags: Any = None) -> None:
        del stream, tags
        self.ids += [item["record"]["id"] for item in record_data]


STATELESS = """
class Sink(Destination):
    def export_batch_data(self, record_data, stream, tags=None):
        pass

shop = SqlSource(name="shop", url="sqlite:///shop.db", streams=[Stream("customers", primary_key=["id"])])
defs = dg.Definitions(assets=stream_assets(shop, destination=Sink()))
"""


class TestADestinationThatKeepsNone:
    @pytest.fixture(autouse=True)
    def told(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
        monkeypatch.chdir(tmp_path)
        project(tmp_path, STATELESS)
        assert main(["state", "list"]) == 1
        said = "bookmarks are those of the materialization events; set one with the run config's `bookmark`."
        assert f"The {said}" in capsys.readouterr().err
        asked: Any = None  # it is not looked at
        for ask in (lambda: Sink().set_bookmark(asked, {}), lambda: Sink().delete_state(asked)):
            assert hint_of(ask) == f"Its {said}"

    def test_the_run_config_sets_one(self) -> None:
        shop, sink = Shop({"customers": people(3)}), Sink()
        instance = dg.DagsterInstance.ephemeral()
        assets = stream_assets(shop, ["customers"], destination=sink)

        def materialize(**config: Any) -> list[Any]:
            sink.ids.clear()
            result = run(assets, instance, config={"shop__customers": config} if config else None)
            assert result.success, failure_text(result)
            return sink.ids

        assert materialize() == [1, 2, 3]
        assert materialize(bookmark={"updated_at": "2026-01-02T00:00:00Z"}) == [2, 3]
        assert (
            event(instance, "shop/customers")["etl_assets/bookmark"]["updated_at"]
            == "2026-01-03T00:00:00Z"
        )
        shop.rows["customers"] = people(4)
        assert materialize() == [4]


class TestACommandOfAHint:
    """Of a shop in SQLite whose `customers` are merged into DuckDB."""

    @pytest.fixture(autouse=True)
    def shop(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        project(tmp_path, NAMED)

    def names(self, folder: Path) -> list[Any]:
        found = warehouse(folder).read_table(warehouse(folder).table_for("shop", CUSTOMERS))
        return sorted(found.column("name").to_pylist())

    def test_a_row_that_tells_no_table(self, tmp_path: Path, capsys: Capture) -> None:
        load(tmp_path, CUSTOMERS)
        with warehouse(tmp_path).transaction() as tx:
            tx.execute("UPDATE main._etl_assets_state SET table_name = NULL")
        assert main(["state", "set", "shop/customers", '{"seq": 1}']) == 1
        assert (
            "Load everything anew after `etl-assets state reset shop/customers`."
            in capsys.readouterr().err
        )
        assert main(shlex.split("state reset shop/customers")) == 0
        assert load(tmp_path, CUSTOMERS).records_loaded == 2
        assert self.names(tmp_path) == ["Ada", "Bo"]

    @pytest.fixture
    def merged(self, tmp_path: Path, capsys: Capture) -> None:
        first = load(tmp_path, CUSTOMERS)
        run_sql(tmp_path, "UPDATE customers SET name = 'Bob', seq = 3 WHERE id = 2")
        load(tmp_path, CUSTOMERS)
        assert main(["state", "rewind", "shop/customers", first.load_id]) == 1
        hint = (
            "Use `etl-assets state set` and accept that rows are read again, or do a full refresh."
        )
        assert hint in capsys.readouterr().err

    @pytest.mark.usefixtures("merged")
    def test_a_merge_that_cannot_be_undone_is_read_again(self, tmp_path: Path) -> None:
        assert main(["state", "set", "shop/customers", '{"seq": 0}']) == 0
        assert load(tmp_path, CUSTOMERS).records_read == 2
        assert self.names(tmp_path) == ["Ada", "Bob"]

    @pytest.mark.usefixtures("merged")
    def test_or_loaded_anew(self, tmp_path: Path) -> None:
        read = StreamRead(
            SqlSource(name="shop", url=f"sqlite:///{tmp_path / 'shop.db'}"), CUSTOMERS
        )
        place = warehouse(tmp_path)
        assert (
            sync(read, place, start=resolve_start(read, place, full_refresh=True)).records_read == 2
        )
        assert self.names(tmp_path) == ["Ada", "Bob"]


class TestAStateThatStreamsShare:
    @pytest.fixture
    def path(self, tmp_path: Path, capsys: Capture) -> Path:
        path = tmp_path / "warehouse.duckdb"
        load_all(Scripted([A, B], [rows(A, 1), rows(B, 1), shared(1), *ends(A, B)]), path)
        assert (
            main(["state", "rewind", "--duckdb", str(path), "many/a", "0660c840aa0a1f5aa5eaf286af"])
            == 1
        )
        hint = "Do a full refresh of the stream, or `etl-assets state reset` it."
        assert hint in capsys.readouterr().err
        return path

    @pytest.mark.parametrize("by_command", [True, False])
    def test_each_way_loads_the_stream_anew_and_the_other_not(
        self, by_command: bool, path: Path
    ) -> None:
        if by_command:
            assert main(["state", "reset", "--duckdb", str(path), "many/a"]) == 0
        plans = {} if by_command else {A.key: StreamPlan(full_refresh=True)}
        read = Scripted([A, B], [rows(A, 5), *ends(A), shared(5), *ends(B)])
        load_all(read, path, plans=plans)
        assert set(read.asked[0].refreshed) == {A.key}
        assert (numbers(path, "a"), numbers(path, "b"), state(path)) == ([5], [1], {"at": 5})


class TestABookmarkWhoseBoundaryCannotBeRead:
    @pytest.fixture(autouse=True)
    def shown(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture) -> None:
        monkeypatch.chdir(tmp_path)
        project(tmp_path, NAMED)
        load(tmp_path, VISITS)
        assert main(["state", "get", "shop/visits"]) == 0
        (tmp_path / "shown.json").write_text(capsys.readouterr().out)
        broken = json.dumps({"seq": 2, BOUNDARY: 5})
        assert main(["state", "set", "shop/visits", broken]) == 0
        run_sql(tmp_path, "INSERT INTO visits VALUES (3, 'c')")
        with pytest.raises(BookmarkError) as caught:
            load(tmp_path, VISITS)
        assert caught.value.hint == (
            "Store the bookmark again as `etl-assets state get` showed it, or run `etl-assets state reset`."
        )

    @pytest.mark.parametrize(
        "words", ["state set shop/visits @shown.json", "state reset shop/visits"]
    )
    def test_each_way_loads_each_row_once(self, words: str, tmp_path: Path) -> None:
        assert main(words.split()) == 0
        load(tmp_path, VISITS)
        table = warehouse(tmp_path).read_table(warehouse(tmp_path).table_for("shop", VISITS))
        assert sorted(table.column("page").to_pylist()) == ["a", "b", "c"]
