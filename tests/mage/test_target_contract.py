"""Schema contracts of a Singer target: what its streams say of the check of types rules it as it rules a sync."""

from pathlib import Path
from typing import Any

import pytest

from etl_assets import DuckDBDestination
from etl_assets.destinations.target.arguments import TargetArguments
from etl_assets.exceptions import DestinationError, SchemaConflictError
from tests.mage.test_target import Kept, into, lines, rows, schema, state


def priced(kind: str, **more: Any) -> dict[str, Any]:
    properties = {"id": {"type": "integer"}, "price": {"type": ["null", kind]}}
    return schema(schema={"type": "object", "properties": properties}, **more)


def sale(id_: int, price: Any) -> dict[str, Any]:
    return {"type": "RECORD", "stream": "users", "record": {"id": id_, "price": price}}


def test_a_column_of_integers_stays_one_where_the_schema_asks_for_the_check(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "w.duckdb"
    into(path, [priced("integer"), sale(1, 5), state({"n": 1})])
    checked = priced("string", disable_column_type_check=False)
    with pytest.raises(
        DestinationError, match=r"'price': a value does not fit its column"
    ) as caught:
        into(path, [checked, sale(2, "six"), state({"n": 2})])
    assert isinstance(caught.value.__cause__, SchemaConflictError)
    assert rows(path, "SELECT id, price, typeof(price) FROM tap.users") == [(1, 5, "BIGINT")]
    assert capsys.readouterr().out == '{"n":1}\n'


@pytest.mark.parametrize("keyless", [False, True], ids=["merged", "appended"])
def test_so_it_does_where_the_catalog_asks_for_it(tmp_path: Path, *, keyless: bool) -> None:
    path = tmp_path / "w.duckdb"
    key: dict[str, Any] = {"key_properties": []} if keyless else {}
    entry = {"tap_stream_id": "users", "stream": "users", "disable_column_type_check": False}
    entry["schema"] = priced("string")["schema"]
    into(path, [priced("integer", **key), sale(1, 5), state({"n": 1})])
    warehouse = DuckDBDestination(str(path))
    warehouse.target = TargetArguments(catalog={"streams": [entry]})
    warehouse.config = {"source": "tap"}
    with pytest.raises(DestinationError, match="a value does not fit its column"):
        warehouse.process(lines(priced("string", **key), sale(2, "six"), state({"n": 2})))
    assert rows(path, "SELECT id, price FROM tap.users") == [(1, 5)]


def test_without_the_word_a_column_still_widens(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    into(path, [priced("integer"), sale(1, 5), state({"n": 1})])
    into(path, [priced("string"), sale(2, "six"), state({"n": 2})])
    assert rows(path, "SELECT id, price FROM tap.users ORDER BY id") == [(1, "5"), (2, "six")]


def test_the_hint_of_the_error_works_in_the_config(tmp_path: Path) -> None:
    path = tmp_path / "w.duckdb"
    checked = priced("string", disable_column_type_check=False)
    into(path, [priced("integer"), sale(1, 5), state({"n": 1})])
    messages = [checked, sale(2, "six"), sale(3, None), state({"n": 2})]
    with pytest.raises(DestinationError, match='schema_contract="evolve"'):
        into(path, messages)
    into(path, messages, schema_contract="discard_row")
    assert rows(path, "SELECT id, price FROM tap.users ORDER BY id") == [(1, 5), (3, None)]
    into(path, messages, schema_contract="evolve")
    assert rows(path, "SELECT id, price FROM tap.users ORDER BY id") == [
        (1, "5"),
        (2, "six"),
        (3, None),
    ]


def test_the_hooks_know_no_contract_but_their_own_check() -> None:
    with pytest.raises(DestinationError, match="knows no schema contract"):
        Kept(config={"schema_contract": "freeze"}).process(lines(priced("integer"), sale(1, 5)))
    with pytest.raises(DestinationError, match="schema_contract cannot be 'nonsense'"):
        Kept(config={"schema_contract": "nonsense"}).process(lines(priced("integer"), sale(1, 5)))
