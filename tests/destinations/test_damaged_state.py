"""A state row that somebody has damaged: a named error with what repairs it, and that it does."""

import json
import re
import sqlite3
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from etl_assets.assets.state_cli import Store, get, list_states, reset, set_bookmark
from etl_assets.assets.state_import import Wanted, import_state
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.exceptions import BookmarkError, EtlAssetsError, StateError
from etl_assets.model.batch import Batch
from etl_assets.model.stream import Stream
from etl_assets.sync import resolve_start, sync
from etl_assets.testing.fakes import GivenRead
from tests.pairs.places import DESTINATIONS, destination

ORDERS = Stream("orders", namespace="eu", primary_key="id", replication_key="id")
ROWS = [{"id": 1}, {"id": 2}]
DAMAGE: dict[str, tuple[str, str]] = {
    "cut": ("bookmark", "'{\"id\": 2'"),
    "word": ("bookmark", "'yesterday'"),
    "empty": ("bookmark", "''"),
    "list": ("bookmark", "'[2]'"),
    "number": ("bookmark", "'2'"),
    "text": ("bookmark", "'\"2\"'"),
    "JSON null": ("bookmark", "'null'"),
    "NaN": ("bookmark", "'{\"id\": NaN}'"),
    "exponent": ("bookmark", "'{\"id\": 1e9999999999999999999}'"),
    "deep": ("bookmark", f"'{'[' * 5000}'"),
    "NULL": ("bookmark", "NULL"),
    "columns cut": ("columns", "'[{'"),
    "columns of another type": ("columns", "'{\"a\": 1}'"),
    "committed_at": ("committed_at", "'yesterday'"),
}


def damage(warehouse: DatabaseDestination, column: str, value: str) -> None:
    with warehouse.transaction() as tx:
        ledger: Any = warehouse.ledger(tx)
        tx.execute(f'UPDATE {ledger._state} SET "{column}" = {value}')


def loaded(kind: str, folder: Path, stack: ExitStack) -> DatabaseDestination:
    warehouse = (
        SqlDestination(f"sqlite:///{folder / 'any.sqlite'}")
        if kind == "sql"
        else destination(kind, folder, stack)
    )
    sync(GivenRead(ORDERS, [ROWS]), warehouse)
    return warehouse


@pytest.mark.parametrize("kind", [*DESTINATIONS, "sql"])
def test_a_damaged_row_is_named_and_repaired_by_the_commands_of_the_error(
    kind: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        warehouse = loaded(kind, tmp_path, stack)
        store = Store(warehouse)
        told: list[str] = []
        repairs: list[Callable[[str], int]] = [
            lambda label: set_bookmark(store, label, '{"id": 2}', None, told.append, force=False),
            lambda label: reset(store, label, None, told.append),
        ]
        for number, (column, value) in enumerate(DAMAGE.values()):
            damage(warehouse, column, value)
            for use in (
                lambda: resolve_start(GivenRead(ORDERS, []), warehouse),
                lambda: sync(GivenRead(ORDERS, [ROWS]), warehouse),
                lambda: get(store, "conformance/eu.orders", None, told.append),
            ):
                with pytest.raises(StateError) as refused:
                    use()
                message = str(refused.value)
                assert "source 'conformance'" in message
                assert "stream 'orders'" in message
                assert "_etl_assets_state" in message
                assert column in message
                assert refused.value.stream == "orders"
            list_states(store, told.append)
            assert "damaged" in told[-1]
            label = re.findall(r"`etl-assets state (?:reset|set) (\S+?)[` ]", message)
            assert set(label) == {"conformance/eu.orders"}
            repairs[number % 2](label[0])
            sync(GivenRead(ORDERS, [ROWS]), warehouse)
            (state,) = warehouse.states()
            assert (state.damage, state.bookmark and state.bookmark["id"]) == (None, 2)
            assert warehouse.count(state.table) == 2


@pytest.mark.parametrize("kind", ["sqlite", "sql"])
def test_a_row_that_is_no_text(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = loaded(kind, tmp_path, stack)
        (file,) = tmp_path.glob("*.sqlite")
        for value in ("x'ff7b7d'", "CAST(x'ff7b7d' AS TEXT)", "5"):
            with closing(sqlite3.connect(file)) as connection:
                connection.execute(f"UPDATE _etl_assets_state SET bookmark = {value}")
                connection.commit()
            with pytest.raises(StateError, match=r"is not UTF-8 text|is a int"):
                resolve_start(GivenRead(ORDERS, []), warehouse)
            set_bookmark(
                Store(warehouse), "conformance/eu.orders", '{"id": 1}', None, print, force=False
            )
            assert resolve_start(GivenRead(ORDERS, []), warehouse).bookmark == {"id": 1}


def test_other_streams_go_on_and_an_import_repairs(tmp_path: Path) -> None:
    with ExitStack() as stack:
        warehouse = loaded("duckdb", tmp_path, stack)
        damage(warehouse, "bookmark", "'{'")
        sync(GivenRead(Stream("others", replication_key="id"), [ROWS]), warehouse)
        assert warehouse.stored_source("conformance").streams == {("eu", "orders"), ("", "others")}
        (tmp_path / "state.json").write_text(
            json.dumps({"bookmarks": {"orders": {"id": 2}}}), encoding="utf-8"
        )
        wanted = Wanted("conformance", str(tmp_path / "state.json"), streams=["eu.orders"])
        assert import_state(Store(warehouse), wanted, print) == 0
        assert resolve_start(GivenRead(ORDERS, []), warehouse).bookmark == {"id": 2}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (float("nan"), "'at' = nan"),
        (float("inf"), "'at' = inf"),
        ("\ud800", "ud800"),
        (object(), "'at' = <object"),
    ],
    ids=["nan", "infinity", "surrogate", "object"],
)
def test_a_bookmark_that_json_has_not_is_refused_before_anything_is_stored(
    value: Any, told: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        for kind in ("duckdb", "sqlite"):
            warehouse = destination(kind, tmp_path, stack)
            batch = Batch([{"id": 1}], bookmark={"id": 1, "at": value})
            with pytest.raises(EtlAssetsError) as refused:
                sync(GivenRead(Stream("orders", replication_key="id"), [batch]), warehouse)
            assert isinstance(refused.value, BookmarkError)
            assert "stream 'orders'" in str(refused.value)
            assert told in str(refused.value)
            assert warehouse.states() == []
