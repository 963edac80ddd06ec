"""Tables of DuckDB that are called as files, or as variables of Python programs, are."""

from pathlib import Path

import duckdb
import pytest

from etl_assets import DuckDBDestination, Stream, StreamRead
from etl_assets.sync import sync
from tests.assets.shop import Shop


@pytest.mark.parametrize(
    "name", ["table", "connection", "self", "rows", "redact", "duckdb", "Any", "csv", "it's"]
)
@pytest.mark.parametrize("strategy", ["append", "merge", "replace"])
def test_a_table_is_no_variable_and_no_file(
    name: str, strategy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "shop.csv").write_text("a,b\n1,2\n")
    stream = Stream(name, primary_key="id")
    for rows in ([{"id": 1, "n": 1}], [{"id": 1, "n": 2}]):
        read = StreamRead(Shop({name: rows}, streams=[stream]), stream)
        sync(read, DuckDBDestination(str(tmp_path / "w.duckdb")), strategy=strategy)
    table = DuckDBDestination("w.duckdb").table_for("shop", stream).name
    with duckdb.connect(str(tmp_path / "w.duckdb")) as connection:
        found = connection.execute(f'SELECT n FROM shop."{table}" ORDER BY n').fetchall()
    assert found == ([(1,), (2,)] if strategy == "append" else [(2,)])
