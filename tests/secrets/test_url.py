"""The address of a database shows no password, whatever is done with it."""

import copy
import json
import pickle
from collections.abc import Callable
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa

from etl_assets import DuckDBDestination, SQLiteDestination, SqlSource
from etl_assets.assets.iomanagers import MySQLIOManager, PostgresIOManager
from etl_assets.assets.literals import warn_of_literals
from etl_assets.caches import PostgresCache, SnowflakeCache
from etl_assets.destinations.mysql.destination import MySQLDestination
from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.destinations.sqlalchemy.destination import SqlDestination
from etl_assets.destinations.warehouses.snowflake import SnowflakeDestination
from etl_assets.exceptions import ConfigError, EtlAssetsError
from etl_assets.redaction import MASK
from etl_assets.secrets.url import SecretUrl, resolve_url, secret_url
from etl_assets.sources.sql.databases import MySQLSource, PostgresSource

C = "hunter2-canary"
URL = f"postgresql://me:{C}@127.0.0.1:1/d?sslpassword={C}"
SHOWN = f"postgresql://me:{MASK}@127.0.0.1:1/d?sslpassword={MASK}"

WAYS: dict[str, Callable[[Any], object]] = {
    "str": str,
    "repr": repr,
    "format": lambda it: f"{it} {it!r} {it:>100} {it}"[:400],
    "concatenation": lambda it: it + "",
    "join": " ".join,
    "slice": lambda it: it[0:],
    "encode": lambda it: it.encode(),
    "json": lambda it: json.dumps({"url": it}),
    "pickle": pickle.dumps,
    "unpickled": lambda it: pickle.loads(pickle.dumps(it)).reveal(),  # noqa: S301 - made here
}


@pytest.mark.parametrize("way", WAYS)
def test_a_url_is_shown_masked(way: str) -> None:
    url = SecretUrl(URL)
    assert C not in str(WAYS[way](url))
    assert str(url) == SHOWN


def test_what_it_stands_for_is_told_by_one_method() -> None:
    url = SecretUrl(URL)
    assert url.reveal() == URL
    assert copy.deepcopy([url])[0].reveal() == URL
    assert url == URL
    assert url == SecretUrl(URL)
    assert url != SHOWN
    assert hash(url) == hash(SecretUrl(URL))
    assert SecretUrl(sa.make_url(URL)).reveal() == URL


def test_a_reference_stays_one_until_it_is_resolved(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_URL", URL)
    reference = dg.EnvVar("SHOP_URL")
    assert secret_url(reference) is reference
    assert resolve_url(reference).reveal() == URL


OPTIONS: dict[str, Any] = {
    "postgres": lambda: PostgresDestination(
        URL, password=C, connect_args={"sslpassword": C, "options": f"-c x.token={C}"}
    ),
    "mysql": lambda: MySQLDestination(
        f"mysql://me:{C}@h/d", password=C, connect_args={"passwd": C, "ssl": {"key_password": C}}
    ),
    "sql": lambda: SqlDestination(sa.make_url(URL), password=C),
    "snowflake": lambda: SnowflakeDestination(
        account="a",
        user="u",
        database="d",
        password=C,
        private_key=C,
        private_key_passphrase=C,
        connect_args={"token": C},
    ),
    "duckdb": lambda: DuckDBDestination(
        f"md:d?motherduck_token={C}", settings={"motherduck_token": C}
    ),
    "duckdb, by mistake": lambda: DuckDBDestination(URL),
    "sqlite, by mistake": lambda: SQLiteDestination(URL),
    "cache": lambda: PostgresCache(host="h", database="d", username="u", password=C),
    "snowflake cache": lambda: SnowflakeCache(
        account="a", username="u", database="d", connect_args={"token": C}
    ),
    "io manager": lambda: PostgresIOManager(url=URL, password=C, connect_args={"sslpassword": C}),
}
DUMPS: dict[str, Callable[[Any], object]] = {
    "repr": repr,
    "str": str,
    "dump": lambda it: it.model_dump(),
    "JSON": lambda it: it.model_dump_json(),
    "fields": lambda it: {name: getattr(it, name) for name in type(it).model_fields},
    "copy": lambda it: repr([copy.copy(it), copy.deepcopy(it), it.model_copy()]),
    "pickle": pickle.dumps,
}


@pytest.mark.parametrize("way", DUMPS)
@pytest.mark.parametrize("name", OPTIONS)
def test_options_hold_secrets_as_secrets(name: str, way: str) -> None:
    owner = OPTIONS[name]()
    options = getattr(owner, "options", owner)
    if name == "io manager" and way == "pickle":
        with pytest.raises(TypeError, match="is not pickled"):
            pickle.dumps(options)
        return
    if name == "io manager" and way in {"fields", "copy"}:
        return  # Dagster has them plain, and cannot copy
    if "cache" in name and way == "pickle":
        options = options.model_dump()
    assert C not in str(DUMPS[way](options))
    assert C not in repr(owner)


def test_an_io_manager_still_gives_its_destination_the_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    manager = PostgresIOManager(url=URL, password=C, connect_args={"sslpassword": C})
    options: Any = getattr(manager.destination, "options", None)
    assert options.url.reveal() == URL
    assert options.password == C
    assert options.connect_args == {"sslpassword": C}
    shown = repr(MySQLIOManager(url=dg.EnvVar("SHOP_URL"), password=dg.EnvVar("PW")))
    assert "SHOP_URL" in shown
    assert "PW" in shown


def test_the_driver_gets_what_the_url_stands_for() -> None:
    assert str(SqlDestination(URL)._engine().url.password) == C
    assert PostgresDestination(URL)._parameters()["password"] == C
    assert PostgresDestination(URL)._parameters()["sslpassword"] == C
    assert MySQLDestination(f"mysql://me:{C}@h/d")._parameters()["password"] == C
    assert DuckDBDestination(f"md:d?motherduck_token={C}").path == f"md:d?motherduck_token={C}"


DEAD = "127.0.0.1:1"
FAILING: dict[str, Callable[[Any], Any]] = {
    "postgres source": lambda url: PostgresSource(url, name="s"),
    "mysql source": lambda url: MySQLSource(url, name="s"),
    "sql source": lambda url: SqlSource(name="s", url=url),
    "postgres": PostgresDestination,
    "mysql": MySQLDestination,
    "sql": SqlDestination,
}
FORMS = [
    "{0}://me:{c}@{dead}/d",
    "{0}://{dead}/d?password={c}",
    "{0}://{dead}/d?passwd={c}",
    "{0}://me:x{c}@y{c}@{dead}/d",
    "{0}://me:x{c}/y{c}@{dead}/d",
    "{0}://me:x{c}#y{c}@{dead}/d",
    "{0}://me:x{c}?y{c}@{dead}/d",
    "{0}://me:123/y{c}@{dead}/d",
    "{0}://me:{c}",
    "{0}:/me:{c}@{dead}/d",
    "me:{c}@{dead}/d",
    "{0}://[me:{c}@{dead}/d",
]


@pytest.mark.filterwarnings("ignore:'passwd' is deprecated")
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", FAILING)
def test_an_error_about_a_url_shows_no_secret_of_it(
    kind: str, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dialect = "mysql+pymysql" if "mysql" in kind else "postgresql+psycopg"
    monkeypatch.setattr("time.sleep", lambda _: None)
    for given in ("literal", "reference"):
        url = form.format(dialect, c=C, dead=DEAD)
        monkeypatch.setenv("SHOP_URL", url)
        try:
            FAILING[kind](url if given == "literal" else dg.EnvVar("SHOP_URL")).test_connection()
        except EtlAssetsError as error:
            told = [
                repr(error),
                str(error),
                repr(error.__cause__),
                str(error.__cause__),
                repr(error.__context__),
            ]
            assert C not in "".join(told)
            continue
        pytest.fail("it cannot have connected")


@pytest.mark.parametrize("password", ["a@b", "a/b", "a#b", "a?b", "1/b", "1?b"])
@pytest.mark.parametrize("kind", FAILING)
def test_a_url_that_its_password_cuts_is_refused_before_a_driver_sees_it(
    kind: str, password: str
) -> None:
    dialect = "mysql+pymysql" if "mysql" in kind else "postgresql+psycopg"
    with pytest.raises(ConfigError, match="special characters percent-encoded"):
        FAILING[kind](f"{dialect}://me:{password}@{DEAD}/d").test_connection()


def test_a_secret_that_definitions_hold_themselves_is_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    warn_of_literals(SqlSource(name="one", url=URL, connect_args={"sslpassword": C}))
    warn_of_literals(PostgresSource(name="two", host="h", database="d", password=C))
    warn_of_literals(DuckDBDestination("a.duckdb", settings={"motherduck_token": C}))
    told = [record.getMessage() for record in caplog.records]
    assert "given the secret itself: connect_args.sslpassword, url." in told[0]
    assert "given the secret itself: url.password." in told[1]
    assert "given the secret itself: options.settings.motherduck_token." in told[2]
    assert 'dagster.EnvVar("NAME")' in told[0]
    assert C not in caplog.text
    caplog.clear()
    warn_of_literals(
        SqlSource(name="one", url=dg.EnvVar("SHOP_URL"), config={"token": dg.EnvVar("X")})
    )
    warn_of_literals(SqlSource(name="one", url="postgresql://me@h/d"))
    warn_of_literals(PostgresCache(host="h", database="d", username="u").destination)
    assert caplog.records == []
