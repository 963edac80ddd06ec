"""The functions and connections that connectors written for Mage import."""

import gzip
import io
import json
import subprocess
import sys
import uuid
import zipfile
from datetime import UTC, date, datetime, time, timedelta
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from etl_assets import Destination, configuring
from etl_assets.destinations.sql.constants import SQL_RESERVED_WORDS, SQL_RESERVED_WORDS_SUBSET
from etl_assets.destinations.sql.utils import (
    build_alter_table_command,
    build_create_table_command,
    build_insert_command,
    clean_column_name,
    column_type_mapping,
    convert_column_type,
)
from etl_assets.destinations.utils import clean_column_name as plain_name
from etl_assets.destinations.utils import flatten_record, update_destination_state_bookmarks
from etl_assets.exceptions import ConfigError, ConnectorConfigInvalidError, StreamReadError
from etl_assets.sources.query import get_end_date, get_start_date
from etl_assets.sources.sql.constants import PredicateOperator
from etl_assets.sources.sql.utils import predicate_operator_uuid_to_comparison_operator
from etl_assets.transformers.utils import convert_data_type, infer_dtypes, write_parquet_file
from etl_assets.utils.array import batch, difference, find, find_index, flatten, sample, subtract
from etl_assets.utils.dates import date_intervals
from etl_assets.utils.dictionary import extract_arrays, replace_dict_nan_value
from etl_assets.utils.dictionary import flatten as flat
from etl_assets.utils.files import get_abs_path
from etl_assets.utils.parsers import encode_complex
from etl_assets.utils.strings import is_number


def test_lists_and_dicts() -> None:
    assert list(batch([1, 2, 3], 2)) == [[1, 2], [3]]
    assert (difference([1, 2], [2, 3]), subtract([1, 2], [2])) == ([1, 3], [1])
    assert (find(bool, [0, 2]), find(bool, [0]), find(bool, [2], str)) == (2, None, "2")
    assert (find_index(bool, [0, 2]), find_index(bool, [0])) == (1, -1)
    assert (flatten([[1], [2, 3]]), sample([7])) == ([1, 2, 3], 7)
    assert flat({"a": 1, "b": {"c": 2, "d": {"e": {"f": 3}}}}) == {
        "a": 1,
        "b_c": 2,
        "b_d_e": {"f": 3},
    }
    assert extract_arrays({"a": [1], "b": 2}) == [[1]]
    assert replace_dict_nan_value({"a": float("nan"), "b": 1.5}) == {"a": None, "b": 1.5}
    assert flatten_record({"a": {"b": [1]}, "c": 2}) == {"a__b": "[1]", "c": 2}


def test_single_values(tmp_path: Path) -> None:
    one = uuid.UUID(int=1)
    values = [
        datetime(2026, 1, 1, tzinfo=UTC),
        date(2026, 1, 2),
        time(3),
        timedelta(hours=1),
        one,
        "x",
    ]
    assert [encode_complex(value) for value in values] == [
        "2026-01-01T00:00:00+00:00", "2026-01-02", "03:00:00", "1:00:00", str(one), "x"
    ]  # fmt: skip
    assert (is_number("1e3"), is_number("x")) == (True, False)
    assert get_abs_path(str(tmp_path)) == str(tmp_path)
    assert (get_start_date({"_start_date": 1}), get_end_date({})) == (1, None)
    update_destination_state_bookmarks(str(tmp_path / "s.json"), "users", {"id": 3})
    assert json.loads((tmp_path / "s.json").read_text()) == {"bookmarks": {"users": {"id": 3}}}


def test_a_span_of_time_is_covered_without_gap_or_overlap() -> None:
    first, last = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 3, 12)  # noqa: DTZ001 - one of two has a zone
    spans = date_intervals(first, last, timedelta(days=1))
    assert [span[0].day for span in spans] == [1, 2, 3]
    assert spans[-1][1] == last.replace(tzinfo=UTC)
    assert all(later[0] - earlier[1] == timedelta(seconds=1) for earlier, later in pairwise(spans))
    assert date_intervals(first, first, timedelta(days=1)) == [(first, first)]


def test_types_of_a_frame(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "i": [1, 2],
            "f": [1.5, None],
            "s": ["a", None],
            "m": [1, "x"],
            "e": [None, None],
            "b": [True, False],
        }
    )
    assert {name: convert_data_type(kind) for name, kind in infer_dtypes(frame).items()} == {
        "i": "integer", "f": "number", "s": "string", "m": "string", "e": "string", "b": "boolean"
    }  # fmt: skip
    write_parquet_file(str(tmp_path / "f.parquet"), frame)
    assert pd.read_parquet(tmp_path / "f.parquet")["m"].tolist() == ["1", "x"]


def test_names_of_columns() -> None:
    assert [clean_column_name(name) for name in ("Full Name", "order", "é", "a-b")] == [
        "full_name",
        "_order",
        "é",
        "a_b",
    ]
    assert clean_column_name("Order", lower_case=False, allow_reserved_words=True) == "Order"
    assert plain_name("order") == "order"
    assert set(SQL_RESERVED_WORDS_SUBSET) < set(SQL_RESERVED_WORDS)


SCHEMA: dict[str, Any] = {
    "properties": {
        "id": {"type": ["null", "integer"]},
        "at": {"anyOf": [{"type": "string", "format": "date-time"}, {"type": "null"}]},
        "tags": {"type": ["null", "array"], "items": {"type": ["null", "string"]}},
        "any": {"type": ["null", "array"], "items": {}},
        "o": {"type": "object"},
    }
}


def test_statements_are_those_of_mage() -> None:
    mapping = column_type_mapping(SCHEMA, convert_column_type, lambda item: f"{item}[]")
    assert {name: column["type_converted"] for name, column in mapping.items()} == {
        "id": "BIGINT", "at": "VARCHAR(52)", "tags": "VARCHAR(255)[]", "any": "VARCHAR(255)", "o": "TEXT"
    }  # fmt: skip
    assert mapping["tags"]["item_type_converted"] == "VARCHAR(255)"
    names = ["id", "at"]
    made = build_create_table_command(
        mapping, names, "s.t", unique_constraints=["id"], key_properties=["id"], if_not_exists=True
    )
    assert made == (
        "CREATE TABLE IF NOT EXISTS s.t "
        "(id BIGINT, at VARCHAR(52), CONSTRAINT uniques_t_id UNIQUE (id), PRIMARY KEY (id))"
    )
    assert (
        build_alter_table_command(mapping, ["at"], "t", '"')
        == 'ALTER TABLE t ADD COLUMN "at" VARCHAR(52)'
    )
    assert build_alter_table_command(mapping, [], "t") is None
    rows: list[dict[str, Any]] = [
        {"id": 1, "at": "it's", "tags": ["a", "b'"], "o": {"k": "v"}},
        {"tags": '["c"]'},
        {"tags": "no json"},
    ]
    columns, values = build_insert_command(mapping, ["id", "at", "tags", "o"], rows)
    assert columns == ["id", "at", "tags", "o"]
    assert values == [
        "(CAST('1' AS BIGINT), CAST('it''s' AS VARCHAR(52)), '{a, b''}', CAST('{\"k\": \"v\"}' AS TEXT))",
        "(NULL, NULL, '{c}', NULL)",
        "(NULL, NULL, '{no json}', NULL)",
    ]
    assert build_insert_command(
        mapping, ["id"], rows[:1], stringify_values=False, convert_column_types=False
    )[1] == [["1"]]


def test_comparisons_have_mages_words() -> None:
    signs = [predicate_operator_uuid_to_comparison_operator(word) for word in PredicateOperator]
    assert signs == ["=", ">", ">=", "<", "<=", "!="]
    assert predicate_operator_uuid_to_comparison_operator(">=") == ">="


def test_a_destination_without_the_hook_is_an_error() -> None:
    with pytest.raises(NotImplementedError, match="must override export_batch_data"):
        Destination().export_batch_data([{"record": {}, "stream": "users"}], "users")


# Services


class Call:
    """Stands for Google's clients: remembers what it was asked."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.words: list[Any] = []

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **words: Any) -> Any:
            self.words.append((name, words))
            return self.answer if name == "execute" else self

        return call


def test_google_sheets_asks_for_cells_and_for_the_first_rows(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from etl_assets.connections.google_sheets import GoogleSheets

    call = Call({"values": [["1"]]})
    monkeypatch.setattr(GoogleSheets, "connect", lambda self: call)
    sheets = GoogleSheets(credentials_info=object())
    assert sheets.load("s", "'A'!A2:B3", {"majorDimension": "ROWS"}) == [["1"]]
    assert call.words[2] == (
        "get",
        {"spreadsheetId": "s", "range": "'A'!A2:B3", "majorDimension": "ROWS"},
    )
    sheets.get_spreadsheet_metadata("s", "A")
    assert call.words[-2] == (
        "get",
        {"spreadsheetId": "s", "includeGridData": True, "ranges": "'A'!1:2"},
    )
    with pytest.raises(ConfigError, match="no credentials"):
        GoogleSheets()


def zipped(*lines: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("1/a.json.gz", gzip.compress("\n".join(lines).encode()))
    return file.getvalue()


@pytest.mark.parametrize(
    ("status", "content", "wanted"),
    [
        (200, zipped('{"a": {"b": 1}}', "", '{"a": 2}'), [{"a_b": 1}, {"a": 2}]),
        (404, b"", []),
        (500, b"", StreamReadError),
        (200, zipped("no json"), StreamReadError),
    ],
)
def test_amplitude_gives_events_or_an_error_and_never_a_gap(
    status: int, content: bytes, wanted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from etl_assets.connections.amplitude import Amplitude

    answer = SimpleNamespace(status_code=status, ok=status == 200, reason="why", content=content)
    monkeypatch.setitem(
        sys.modules, "requests", SimpleNamespace(get=lambda *given, **words: answer)
    )
    asked = ("2026-01-01", "2026-01-02")
    if isinstance(wanted, list):
        assert Amplitude("k", "s").load(*asked) == wanted
    else:
        with pytest.raises(wanted):
            Amplitude("k", "s").load(*asked)


def test_drivers_get_what_the_connector_says(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: dict[str, Any] = {}

    def driver(name: str) -> Any:
        def connect(*given: Any, **words: Any) -> Any:
            asked[name] = given or {key: value for key, value in words.items() if value is not None}
            return SimpleNamespace(add_output_converter=lambda *given: None, close=lambda: None)

        return SimpleNamespace(connect=connect)

    for name in ("snowflake.connector", "redshift_connector", "teradatasql", "oracledb", "pyodbc"):
        monkeypatch.setitem(sys.modules, name, driver(name))
    made: dict[str, dict[str, Any]] = {
        "snowflake.Snowflake": {
            "account": "a",
            "database": "d",
            "schema": "s",
            "username": "u",
            "warehouse": "w",
            "password": "p",
        },
        "redshift.Redshift": {"host": "h", "user": "u"},
        "teradata.Teradata": {"host": "h", "username": "u"},
        "oracledb.OracleDB": {"host": "h", "password": "p", "user": "u", "service": "s"},
        "mssql.MSSQL": {"host": "h", "database": "d", "username": "u", "password": "a;b"},
    }
    for name, words in made.items():
        module, cls = name.split(".")
        getattr(import_module(f"etl_assets.connections.{module}"), cls)(**words).build_connection()
    assert asked["snowflake.connector"] == {
        "account": "a", "database": "d", "schema": "s", "user": "u", "warehouse": "w", "password": "p"
    }  # fmt: skip
    assert asked["redshift_connector"] == {"host": "h", "port": 5439, "user": "u"}
    assert asked["teradatasql"] == {"dbs_port": 1025, "host": "h", "user": "u"}
    assert asked["oracledb"] == {"user": "u", "password": "p", "dsn": "h:1521/s"}
    assert "SERVER=h;DATABASE=d;UID=u;PWD={a;b};" in asked["pyodbc"][0]


# singer-python pins jsonschema 2


PINNED = """
import jsonschema, etl_assets.configuring as configuring
from etl_assets.exceptions import ConnectorConfigInvalidError
assert not hasattr(jsonschema, "Draft7Validator"), "this is to be version 2"
class Owner:
    name = connector_name = "shop"
    kinds = [{"properties": {"k": {"const": k}}} for k in (1, 2)]
    config_spec = {"properties": {"mode": {"oneOf": kinds}}}
configuring.validate(Owner(), {"mode": {"k": 1}})
try:
    configuring.validate(Owner(), {"mode": {"k": 3}})
except ConnectorConfigInvalidError as error:
    print(error.message)
"""


def test_a_config_is_checked_with_singer_pythons_jsonschema_too(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    (pinned,) = root.glob(".venv-pipes/target-jsonl/lib/python*/site-packages/jsonschema")
    (tmp_path / "jsonschema").symlink_to(pinned)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", PINNED],
        env={"PYTHONPATH": f"{tmp_path}:{root}"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "shop: mode does not meet" in done.stdout
    assert callable(configuring.validate)
    assert issubclass(ConnectorConfigInvalidError, ConfigError)


def test_json_goes_as_it_is_to_a_function_that_escapes_quotes_itself() -> None:
    schema = {"properties": {"o": {"type": ["object"]}}}
    mapping = column_type_mapping(schema, convert_column_type, lambda item: f"{item}[]")
    rows = [{"o": {"a": "it's"}}]

    def escaping(value: str, column_type: str) -> str:
        return "'" + value.replace("'", "\\'") + "'"

    def framing(value: str, column_type: str) -> str:
        return f"PARSE('{value}')"

    def insert(**words: Any) -> Any:
        return build_insert_command(mapping, ["o"], rows, **words)[1]

    assert insert(convert_column_to_type_func=escaping) == ['(\'{"a": "it\\\'s"}\')']
    assert insert(convert_column_to_type_func=framing) == ["(PARSE('{\"a\": \"it''s\"}'))"]
    assert "it''s" in insert()[0]
