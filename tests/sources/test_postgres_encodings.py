"""PostgreSQL databases that are not UTF-8: of no encoding they know of (SQL_ASCII), and of few characters (LATIN1)."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import pytest

from etl_assets import PostgresDestination, PostgresSource
from etl_assets.exceptions import DataError, SourceError
from etl_assets.model.stream import Stream
from etl_assets.sources.read import StreamRead
from etl_assets.sync import sync
from etl_assets.testing.fakes import GivenRead
from tests import servers
from tests.sources.sql_databases import rows

TEXTS: list[dict[str, Any]] = [
    {"id": 1, "a": "äöü", "j": '{"k": "é"}', "l": '["ß"]'},
    {"id": 2, "a": None, "j": None, "l": None},
]
LATIN1_OF_CAFE = rb"E'caf\xe9'"


def url_of(name: str) -> str:
    """Return the address of a database beside that of the tests, with no word on encodings."""
    server = servers.POSTGRES.replace("postgresql+psycopg://", "postgresql://").partition("?")[0]
    return f"{server.rpartition('/')[0]}/{name}"


@contextmanager
def made(encoding: str) -> Iterator[str]:
    server = servers.postgres_server()
    name = f"t_{uuid.uuid4().hex[:12]}"
    server.execute(
        f"CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'".encode()
    )
    try:
        yield url_of(name)
    finally:
        server.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


@pytest.fixture(scope="module", params=["SQL_ASCII", "LATIN1"])
def either(request: pytest.FixtureRequest) -> Iterator[str]:
    with made(request.param) as url:
        yield url


@pytest.fixture(scope="module")
def ascii_url() -> Iterator[str]:
    with made("SQL_ASCII") as url:
        yield url


@pytest.fixture(scope="module")
def latin1_url() -> Iterator[str]:
    with made("LATIN1") as url:
        yield url


def run(url: str, *statements: str | bytes, encoding: str = "utf8") -> list[tuple[Any, ...]]:
    """Run statements; gives what the last one found."""
    found: list[tuple[Any, ...]] = []
    with psycopg.connect(url, autocommit=True, client_encoding=encoding) as connection:
        for statement in statements:
            text = statement.encode() if isinstance(statement, str) else statement
            cursor = connection.execute(text)
            found = cursor.fetchall() if cursor.description else []
    return found


def destination(url: str) -> PostgresDestination:
    return PostgresDestination(url, schema_name="loaded")


def test_texts_names_and_comments_are_read(either: str) -> None:
    run(
        either,
        "CREATE SCHEMA read",
        'CREATE TABLE read.texts (id int PRIMARY KEY, "größe" text, j jsonb, l text[])',
        "COMMENT ON TABLE read.texts IS 'sämtliche'",
        """INSERT INTO read.texts VALUES (1, 'äöü', '{"k": "é"}', '{ß}'), (2, NULL, NULL, NULL)""",
    )
    source = PostgresSource(either, name="shop", schema="read")
    source.test_connection()
    (stream,) = source.discover().streams
    assert stream.description == "sämtliche"
    named = [
        {("größe" if key == "a" else key): value for key, value in row.items()} for row in TEXTS
    ]
    assert rows(source, stream) == named
    assert [row["id"] for row in rows(source, stream, query={"größe": "äöü"})] == [1]
    growing = Stream("texts", replication_key="größe", replication_method="INCREMENTAL")
    including = PostgresSource(either, name="shop", schema="read", on_null_cursor="exclude")
    assert including.latest(growing) == {"größe": "äöü"}
    assert [row["id"] for row in rows(including, growing, {"größe": "äöü"})] == [1]


@pytest.mark.parametrize(
    ("type_", "shown"),
    [
        ("text", r"b'caf\\xe9'"),
        ("json", r"""b'"caf\\xe9"'"""),
        ("text[]", r"""b'\["caf\\xe9"\]'"""),
    ],
    ids=["text", "json", "array"],
)
def test_bytes_that_are_no_text_are_refused_by_name(type_: str, shown: str, ascii_url: str) -> None:
    value = {
        "text": LATIN1_OF_CAFE, "json": rb"""E'"caf\xe9"'""", "text[]": b"ARRAY[" + LATIN1_OF_CAFE + b"]",
    }[type_]  # fmt: skip
    name = f"refused_{type_.rstrip('[]')}_{len(type_)}"
    run(ascii_url, f"CREATE TABLE {name} (id int PRIMARY KEY, a {type_})")
    run(
        ascii_url,
        f"INSERT INTO {name} VALUES (1, NULL), (2, ".encode() + value + b")",
        encoding="SQL_ASCII",
    )
    source = PostgresSource(ascii_url, name="shop")
    with pytest.raises(
        DataError, match=rf"stream '{name}', field 'a': is not UTF-8 text\. Value: {shown}"
    ) as caught:
        rows(source, Stream(name))
    assert "by a query that says how the text is encoded" in str(caught.value.hint)
    with pytest.raises(DataError, match=rf"field 'a'.*{shown}"):
        sync(StreamRead(source, Stream(name)), destination(ascii_url))
    assert rows(source, Stream(name, columns=["id"])) == [{"id": 1}, {"id": 2}], (
        "what is not read harms nobody"
    )


def test_a_query_says_how_a_text_is_encoded(ascii_url: str) -> None:
    run(ascii_url, "CREATE TABLE menu (id int PRIMARY KEY, a text)")
    run(ascii_url, b"INSERT INTO menu VALUES (1, " + LATIN1_OF_CAFE + b")", encoding="SQL_ASCII")
    told = "convert_from(convert(convert_to(a, 'SQL_ASCII'), 'LATIN1', 'UTF8'), 'SQL_ASCII')"
    with pytest.raises(
        DataError, match="read the table by a query that says how the text is encoded"
    ):
        rows(PostgresSource(ascii_url, name="shop"), Stream("menu"))
    source = PostgresSource(
        ascii_url, name="shop", queries={"menu": f"SELECT id, {told} AS a FROM menu"}
    )
    assert rows(source, Stream("menu")) == [{"id": 1, "a": "café"}]


def test_a_name_that_is_no_text_is_told(ascii_url: str) -> None:
    run(
        ascii_url, "CREATE SCHEMA odd", b'CREATE TABLE odd."caf\xe9" (id int)', encoding="SQL_ASCII"
    )
    with pytest.raises(SourceError, match="invalid byte sequence") as caught:
        PostgresSource(ascii_url, name="shop", schema="odd").discover()
    assert "A name, a comment" in str(caught.value.hint)


@pytest.mark.parametrize("strategy", ["append", "merge", "replace"])
def test_texts_are_loaded(strategy: str, either: str) -> None:
    stream = Stream(f"kept_{strategy}", primary_key=["id"])
    for _ in range(2):
        sync(
            GivenRead(stream, [[{"id": 1, "a": "äöü", "j": {"k": "é"}}]]),
            destination(either),
            strategy=strategy,
        )
    found = run(either, f"SELECT DISTINCT id, a, j ->> 'k' FROM loaded.{stream.name}")
    assert found == [(1, "äöü", "é")]
    source = PostgresSource(either, name="shop", schema="loaded")
    assert {row["a"] for row in rows(source, Stream(stream.name))} == {"äöü"}


@pytest.mark.parametrize(
    ("record", "field", "shown"),
    [
        ({"a": "5 €"}, "a", "'5 €'"),
        ({"A Z": "5 €"}, "A Z", "'5 €'"),
        ({"a": {"price": "5 €"}}, "a", '\'{"price":"5 €"}\''),
        ({"a": ["x", "5 €"]}, "a", '\'["x","5 €"]\''),
    ],
    ids=["text", "another name", "object", "list"],
)
@pytest.mark.parametrize("strategy", ["append", "merge"])
def test_a_value_that_the_encoding_has_not_is_refused_by_name(
    record: dict[str, Any], field: str, shown: str, strategy: str, latin1_url: str
) -> None:
    stream = Stream("prices", primary_key=["id"])
    batches = [[{"id": 1, "other": "x"}], [{"id": 2, **record}], [{"id": 3, "other": "y"}]]
    with pytest.raises(DataError, match="has no equivalent in encoding") as caught:
        sync(GivenRead(stream, batches), destination(latin1_url), strategy=strategy)
    assert str(caught.value).startswith(f"stream 'prices', field {field!r}: ")
    assert f"Value: {shown}." in str(caught.value)
    assert "UTF-8" in str(caught.value.hint)
    assert run(latin1_url, "SELECT to_regclass('loaded.prices')") == [(None,)], (
        "nothing of it is visible"
    )


def test_a_value_that_passes_through_is_refused_by_name(latin1_url: str) -> None:
    """Rows of another PostgreSQL go in as its bytes, and the server names the column alone."""
    with made("UTF8") as url:
        run(
            url,
            "CREATE TABLE prices (id int PRIMARY KEY, a text)",
            "INSERT INTO prices VALUES (1, 'x'), (2, '5 €')",
        )
        source = PostgresSource(url, name="shop")
        with pytest.raises(
            DataError, match=r"stream 'prices', field 'a': .*has no equivalent.* Value: '5 €'"
        ):
            sync(StreamRead(source, Stream("prices")), destination(latin1_url))
