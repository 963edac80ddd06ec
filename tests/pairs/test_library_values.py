"""The tables of docs/values.md about libraries: what was given to an asset is what each database's own driver reads.

What a cell shows as code is what `eval` makes of it here; the page and this test can say nothing
else.
"""

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from etl_assets import Source, Stream, stream_assets
from etl_assets.destinations.database.destination import DatabaseDestination
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from tests.pairs.places import DESTINATIONS, destination
from tests.pairs.readers import held

pytestmark = pytest.mark.xdist_group("library_values")  # they share one run for each destination

PAGE = Path(__file__).resolve().parents[2] / "docs" / "values.md"
NAMES = {"pa": pa, "np": np, "pd": pd, "Decimal": Decimal}
CALLED = {"duckdb": "DuckDB", "postgresql": "PostgreSQL", "mysql": "MySQL", "sqlite": "SQLite"}
REFUSED = "refused"
_CODE = re.compile(r"`([^`]+)`")
_NUMBERS = re.compile(r"(U?(TINY|SMALL|BIG)?INT(EGER)?|DECIMAL\(.*\)|FLOAT|DOUBLE)")


def rows_of(kind: str) -> Iterator[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    inside, skip = False, 0
    for before, line in pairwise(lines):
        if before == f"<!-- {kind} -->":
            inside, skip = True, 2
        inside = inside and line.startswith("|")
        if inside and skip:
            skip -= 1
        elif inside:
            yield [cell.strip() for cell in line.strip("|").split("|")]


CASES: list[tuple[Any, ...]] = [
    (kind, number, *row) for kind in ("arrow", "pandas") for number, row in enumerate(rows_of(kind))
]
ACCEPTED = [
    (kind, destination_kind, number, column, values)
    for kind, number, _, _, column, values, refused_by in CASES
    for destination_kind in DESTINATIONS
    if column != REFUSED and CALLED[destination_kind] not in refused_by
]
REFUSING = [
    (kind, destination_kind, code)
    for kind, _, code, _, column, _, refused_by in CASES
    for destination_kind in DESTINATIONS
    # What is refused everywhere does not get as far as the destination.
    if CALLED[destination_kind] in refused_by
    or (column == REFUSED and destination_kind == "duckdb")
]


class Given(Source):
    """Gives one thing for each stream."""

    def __init__(self, items: Mapping[str, Any]) -> None:
        super().__init__(name="shop")
        self.streams = [Stream(name) for name in items]
        self.items = items

    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield self.items[stream.name]


def given(kind: str, cell: str) -> Any:
    value = eval(cell.strip("`"), dict(NAMES))  # noqa: S307 - our own page
    return pa.table({"x": value}) if kind == "arrow" else pd.DataFrame({"x": value})


def wanted(cell: str) -> list[Any]:
    """Return the texts of a cell; one that is code of a text, such as `"9" * 60`, is run."""
    found = _CODE.findall(cell)
    run = [eval(one, {}) if one.startswith(('"9" *', "'")) else one for one in found]  # noqa: S307 - our own page
    return [None if one == "None" else one for one in run]


def texts_of(warehouse: DatabaseDestination, table: str) -> list[str | None]:
    """Return the column as its database writes it; nested values of DuckDB as JSON."""
    if not isinstance(warehouse, DuckDBDestination):
        return [_text(row["x"]) for row in held(warehouse, table).rows]
    with duckdb.connect(warehouse.path) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        (type_,) = connection.execute(f"SELECT typeof(x) FROM shop.{table} LIMIT 1").fetchone() or (
            "",
        )
        nested = type_.endswith("]") or type_.startswith(("STRUCT", "MAP"))
        shown = "to_json(x)" if nested else "x"
        shown = "epoch_us(x)" if type_ == "INTERVAL" else shown
        return [
            one
            for (one,) in connection.execute(
                f"SELECT {shown}::VARCHAR FROM shop.{table}"
            ).fetchall()
        ]


def _text(value: Any) -> str | None:
    if value is None:
        return None
    return value.decode() if isinstance(value, bytes) else str(value)


def same(found: str | None, want: str | None, column: str) -> bool:
    """Tell whether two texts are one value of a type, each spelled as some database spells it."""
    if found is None or want is None:
        return found is want
    if _NUMBERS.fullmatch(column):
        return Decimal(found) == Decimal(want)
    if column == "BOOLEAN":
        return found.lower() in {want, str(int(want == "true"))}
    if column == "BLOB":
        return found in {want, "\\x" + want.encode().hex()}
    if column == "INTERVAL":
        return _microseconds(found) == int(want)
    if column.startswith(("TIME", "DATE")):
        return _moment(found) == _moment(want)
    return found == want or _parsed(found) == _parsed(want)


def _moment(text: str) -> str:
    plain = text.replace("+00:00", "+00").removesuffix("+00")
    return plain.rstrip("0").rstrip(".") if "." in plain else plain


def _microseconds(text: str) -> int:
    if ":" not in text:
        return int(text)
    hours, minutes, seconds = text.split(":")
    return int((Decimal(hours) * 3600 + Decimal(minutes) * 60 + Decimal(seconds)) * 1_000_000)


def _parsed(text: str) -> Any:
    """Return JSON with its maps as pairs, each key as often as it comes: DuckDB writes a map as an object."""
    try:
        return json.loads(
            text,
            parse_float=Decimal,
            parse_constant=lambda one: one.lower(),
            object_pairs_hook=lambda pairs: [list(one) for one in pairs],
        )
    except ValueError:
        return text


def told(result: dg.ExecuteInProcessResult) -> str:
    event = next(one for one in result.all_events if one.is_step_failure)
    return str(event.step_failure_data.user_failure_data.description)  # type: ignore[union-attr]


class Loads:
    """What the page says is accepted, in a destination of each kind: one run for all streams of a page's table."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder, self._stack = folder, stack
        self._made: dict[tuple[str, str], DatabaseDestination] = {}

    def of(self, kind: str, destination_kind: str) -> DatabaseDestination:
        key = (kind, destination_kind)
        if key not in self._made:
            folder = self._folder / "-".join(key)
            folder.mkdir()
            warehouse = destination(destination_kind, folder, self._stack)
            numbers = {number for one, at, number, _, _ in ACCEPTED if (one, at) == key}
            items = {
                f"t{number}": given(kind, code)
                for one, number, code, *_ in CASES
                if one == kind and number in numbers
            }
            assets = stream_assets(Given(items), destination=warehouse, granularity="source")
            assert dg.materialize(
                [assets] if isinstance(assets, dg.AssetsDefinition) else [*assets]
            ).success
            self._made[key] = warehouse
            if isinstance(warehouse, DuckDBDestination):
                # As long as it is open here, the tests that look into the file open it at no cost.
                self._stack.enter_context(duckdb.connect(warehouse.path))
        return self._made[key]


@pytest.fixture(scope="module")
def loads(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loads]:
    with ExitStack() as stack:
        yield Loads(tmp_path_factory.mktemp("values"), stack)


@pytest.mark.parametrize(("kind", "destination_kind", "number", "column", "values"), ACCEPTED)
def test_a_value_comes_back_as_the_page_says(
    kind: str, destination_kind: str, number: int, column: str, values: str, loads: Loads
) -> None:
    warehouse = loads.of(kind, destination_kind)
    if destination_kind == "duckdb":
        assert held_type(warehouse, f"t{number}") == column
    found, want = texts_of(warehouse, f"t{number}"), wanted(values)
    assert len(found) == len(want)
    assert all(same(one, other, column) for one, other in zip(found, want, strict=True)), (
        found,
        want,
    )


@pytest.mark.parametrize(("kind", "destination_kind", "code"), REFUSING)
def test_a_value_that_is_refused_is_named(
    kind: str, destination_kind: str, code: str, tmp_path: Path
) -> None:
    with ExitStack() as stack:
        warehouse = destination(destination_kind, tmp_path, stack)
        assets = stream_assets(Given({"t": given(kind, code)}), destination=warehouse)
        result = dg.materialize(assets, raise_on_error=False)
    assert not result.success
    message = told(result)
    assert "stream 't', field 'x': " in message
    assert "Value: None" not in message


def held_type(warehouse: DatabaseDestination, table: str) -> str:
    assert isinstance(warehouse, DuckDBDestination)
    with duckdb.connect(warehouse.path) as connection:
        asked = "SELECT data_type FROM duckdb_columns() WHERE table_name = ? AND column_name = 'x'"
        ((found,),) = connection.execute(asked, [table]).fetchall()
    return str(found)


def test_the_tables_are_found() -> None:
    assert len(list(rows_of("arrow"))) > 30
    assert len(list(rows_of("pandas"))) > 20
