"""Caches in PostgreSQL, MariaDB and SQLite: read into, filtered, asked by SQL, without showing a password."""

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from typing_extensions import override

from etl_assets import Source, Stream
from etl_assets.caches import CacheBase, MySQLCache, PostgresCache, SqliteCache
from etl_assets.secrets import SecretString
from tests.servers import MYSQL, POSTGRES, mysql_schema, postgres_schema

ROWS: list[dict[str, Any]] = [
    {"id": n, "name": f"n'{n}", "price": Decimal("1.10") * n} for n in range(1, 6)
]


class Shop(Source):
    """Five orders."""

    streams = (Stream("orders", primary_key="id"),)
    rows = ROWS

    @override
    def load_data(
        self, stream: Stream, bookmarks: Any = None, query: Any = None, **kwargs: Any
    ) -> Iterator[Any]:
        yield self.rows


@pytest.fixture(params=["postgres", "mysql", "sqlite"])
def cache(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[CacheBase]:
    if request.param == "sqlite":
        yield SqliteCache(db_path=tmp_path / "x.sqlite", cache_dir=tmp_path)
        return
    url = urlsplit(POSTGRES if request.param == "postgres" else MYSQL)
    login: dict[str, Any] = {
        "host": url.hostname,
        "username": url.username,
        "password": url.password or "",
    }
    if request.param == "postgres":
        with postgres_schema() as name:
            port = url.port or 5432
            yield PostgresCache(
                **login,
                port=port,
                database=url.path.strip("/"),
                schema_name=name,
                cache_dir=tmp_path,
            )
    else:
        with mysql_schema() as name:
            yield MySQLCache(**login, port=url.port or 3306, database=name, cache_dir=tmp_path)


def test_read_into_it_filter_and_ask_by_sql(cache: CacheBase) -> None:
    shop = Shop(name="shop")
    result = shop.read(cache)
    assert [row["price"] for row in sorted(result["orders"], key=lambda row: row["id"])] == [
        row["price"] for row in ROWS
    ]
    found = cache["orders"].with_filter(sa.column("name").in_(["n'4", "n'5"]), "id > 4")
    assert len(found) == 1
    assert [row["id"] for row in found] == found.to_pandas()["id"].to_list() == [5]
    table = cache["orders"].to_sql_table()
    with cache.get_sql_engine().connect() as connection:
        assert connection.execute(
            sa.select(table.c.id).where(table.c.name == "n'3")
        ).scalars().all() == [3]
    shop.rows = [
        {"id": 5, "name": "new", "price": Decimal(0)},
        {"id": 6, "name": "six", "price": Decimal(6)},
    ]
    assert shop.read(cache).results["orders"].records_loaded == 2
    assert cache.fetch_table_statistics() == {"orders": {"row_count": 6}}
    assert list(cache) == ["orders"]


def test_no_password_is_shown() -> None:
    cache = PostgresCache(
        host="h", database="d", username="u", password=SecretString("the-password")
    )
    for shown in (
        repr(cache),
        str(cache.model_dump()),
        cache.model_dump_json(),
        repr(cache.get_sql_alchemy_url()),
    ):
        assert "the-password" not in shown
    assert cache.make_url().password == "the-password"  # noqa: S105 - looked for
