"""`etl-assets check`: what it finds, and that it says ok only where all is well."""

from pathlib import Path
from typing import Any

import duckdb
import pytest
from sqlalchemy import make_url

from etl_assets.cli import main
from etl_assets.destinations.duckdb.destination import DuckDBDestination
from etl_assets.exceptions import ConfigError, UnavailableError
from tests.cli_shop import CUSTOMERS, GLOB, NAMED, load, project, run_sql

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def problems(capsys: Capture) -> list[str]:
    return [line for line in capsys.readouterr().out.splitlines() if line.startswith("problem ")]


def test_all_is_well(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, NAMED)
    assert main(["check"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "ok       source 'shop': connected, 2 streams",
        "ok       destination DuckDBDestination('warehouse.duckdb'): connected, 0 stored states",
        "ok       definitions.py: 2 assets",
    ]
    assert main(["check", "--read", "definitions.py"]) == 0


def test_a_wrong_path_is_a_problem_and_the_others_are_checked_all_the_same(
    tmp_path: Path, capsys: Capture
) -> None:
    project(tmp_path, NAMED.replace("shop.db", "shpo.db"))
    assert main(["check"]) == 1
    out = capsys.readouterr().out
    assert "problem  source 'shop': there is no file " in out
    assert "shpo.db'. Check the path" in out
    assert "ok       destination" in out
    assert not (tmp_path / "shpo.db").exists()


def test_a_missing_environment_variable_is_named(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SHOP_URL", raising=False)
    project(tmp_path, NAMED.replace('"sqlite:///shop.db"', 'dg.EnvVar("SHOP_URL")'))
    assert main(["check"]) == 1
    (problem,) = problems(capsys)
    assert "'SHOP_URL', which has no value. Set that environment variable" in problem


def test_wrong_credentials_are_a_problem_that_does_not_show_them(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SHOP_TOKEN", "hunter2hunter2")
    project(
        tmp_path,
        """
class Api(Source):
    streams = [Stream("users")]

    def test_connection(self):
        raise ValueError(f"401 for {self.config['token']}")

    def load_data(self, stream, **kwargs):
        yield [{"id": 1}]

api = Api(name="api", config={"token": dg.EnvVar("SHOP_TOKEN")})
defs = dg.Definitions(assets=stream_assets(api, destination=DuckDBDestination("warehouse.duckdb")))
""",
    )
    assert main(["check"]) == 1
    out = capsys.readouterr()
    assert "problem  source 'api': ValueError: 401 for ****" in out.out
    assert "hunter2" not in out.out + out.err


def test_a_stream_that_the_source_does_not_have(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, GLOB.replace('"*"', '["customers", "ordres"]'))
    assert main(["check"]) == 1
    (problem,) = problems(capsys)
    assert "there is no table or view 'ordres'. Did you mean 'orders'?" in problem


def test_a_glob_that_matches_nothing(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, GLOB.replace('"*"', '["zz*"]'))
    assert main(["check"]) == 1
    assert any("it has no stream 'zz*'." in problem for problem in problems(capsys))


MAGE = """
class Shop(Source):
    def discover(self, streams=None):
        entry = {"tap_stream_id": "orders", "stream": "orders", "key_properties": ["id"],
                 "schema": {"properties": {"id": {"type": ["integer"]}}},
                 "metadata": [{"breadcrumb": [], "metadata": {"table-key-properties": ["id"]}}]}
        return Catalog([CatalogEntry(**entry)])

    def test_connection(self): ...

    def load_data(self, stream, bookmarks=None, query=None, **kwargs):
        yield [{"id": 1}]

from etl_assets.sources.catalog import Catalog, CatalogEntry
shop = Shop(name="shop")
defs = dg.Definitions(assets=stream_assets(shop, catalog=shop.discover(), destination=DuckDBDestination("w.duckdb")))
"""


def test_a_catalog_that_selects_nothing_is_a_problem_before_and_after_discover(
    tmp_path: Path, capsys: Capture
) -> None:
    path = project(tmp_path, MAGE)
    for _ in range(2):
        assert main(["check", str(path)]) == 1
        out = capsys.readouterr().out
        assert "problem  source 'shop': No stream of 'shop' is selected." in out
        assert "is missing" not in out
        assert main(["discover", str(path)]) == 0
        assert "was" not in capsys.readouterr().out


def test_a_key_that_is_no_column(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, NAMED.replace('primary_key=["id"]', 'primary_key=["uid"]'))
    assert main(["check"]) == 1
    assert any("'uid' of its primary key is no column" in problem for problem in problems(capsys))


def test_a_missing_and_an_old_catalog(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, GLOB)
    assert main(["check"]) == 1
    (problem,) = problems(capsys)
    assert "catalogs/shop.json is missing. Run `etl-assets discover --source shop`" in problem
    main(["discover"])
    capsys.readouterr()
    assert main(["check"]) == 0
    assert "catalogs/shop.json is up to date" in capsys.readouterr().out
    run_sql(tmp_path, "ALTER TABLE customers ADD COLUMN email TEXT;")
    assert main(["check"]) == 1
    (problem,) = problems(capsys)
    assert "column 'email' is new" in problem


def test_two_sources_of_one_name(tmp_path: Path, capsys: Capture) -> None:
    project(
        tmp_path,
        """
warehouse = DuckDBDestination("warehouse.duckdb")
one, two = (SqlSource(name="shop", url="sqlite:///shop.db", batch_rows=n) for n in (1, 2))
defs = dg.Definitions(assets=[
    *stream_assets(one, ["orders"], destination=warehouse), *stream_assets(two, ["visits"], destination=warehouse),
])
""",
    )
    assert main(["check"]) == 1
    assert any("Two sources are named 'shop'" in problem for problem in problems(capsys))
    assert main(["discover"]) == 1
    assert "Two sources are named 'shop'" in capsys.readouterr().err


def test_zero_assets_are_a_failure(tmp_path: Path, capsys: Capture) -> None:
    project(
        tmp_path, NAMED.replace("dg.Definitions(assets=", "list(").replace("defs = ", "made = ")
    )
    assert main(["check"]) == 0  # assets at the top level, as Dagster takes them
    project(
        tmp_path, NAMED.replace("defs = dg.Definitions(assets=", "defs = dg.Definitions(); len(")
    )
    assert main(["check"]) == 1
    assert any(
        "definitions.py: it gives Dagster no assets." in problem for problem in problems(capsys)
    )
    project(tmp_path, "")
    assert main(["check"]) == 1


def test_definitions_that_do_not_load_in_dagster(tmp_path: Path, capsys: Capture) -> None:
    project(
        tmp_path,
        NAMED
        + "\ndefs = dg.Definitions(assets=[*defs.assets, dg.AssetSpec('a', deps=['b']), dg.AssetSpec('a')])\n",
    )
    assert main(["check"]) == 1
    (problem,) = problems(capsys)
    assert problem.startswith("problem  definitions.py: DagsterInvalidDefinitionError: ")
    assert len(problem) < 600


def test_a_table_that_somebody_emptied(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, NAMED)
    load(tmp_path, CUSTOMERS)
    assert main(["check"]) == 0
    assert "1 stored state" in capsys.readouterr().out
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("DELETE FROM shop.customers")
        connection.execute("CREATE TABLE shop.visits (a INT)")
    assert main(["check"]) == 1
    found = problems(capsys)
    assert any("is empty, though its ledger says 2 rows" in problem for problem in found)
    assert any("was not made by this library" in problem for problem in found)


def test_a_destination_in_a_folder_that_is_not_there(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, NAMED.replace("warehouse.duckdb", "no/warehouse.duckdb"))
    assert main(["check"]) == 1
    (problem,) = problems(capsys)
    assert "The folder of the DuckDB file 'no/warehouse.duckdb' does not exist." in problem


def test_a_resource_in_place_of_a_destination(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WAREHOUSE", "warehouse.duckdb")
    text = NAMED.replace(
        'destination=DuckDBDestination("warehouse.duckdb")', 'io_manager_key="warehouse"'
    )
    project(tmp_path, text)
    assert main(["check"]) == 1
    assert any("have no resource 'warehouse'" in problem for problem in problems(capsys))
    resource = 'DuckDBIOManager(path=dg.EnvVar("WAREHOUSE"))'
    resource = f'resources={{"warehouse": {resource}}}'
    text = "from etl_assets import DuckDBIOManager\n" + text.strip()[:-1] + f", {resource})\n"
    project(tmp_path, text)
    assert main(["check"]) == 0
    assert (
        "ok       destination io_manager_key='warehouse': connected, 0 stored states"
        in capsys.readouterr().out
    )
    load(tmp_path, CUSTOMERS)
    assert main(["state", "get", "shop/customers"]) == 0
    assert capsys.readouterr().out == '{"seq": 2}\n'


def test_a_destination_of_ones_own(tmp_path: Path, capsys: Capture) -> None:
    printer = """
class Printer(Destination):
    def test_connection(self):
        raise OSError("no paper")

    def export_batch_data(self, record_data, stream, tags=None): ...
"""
    project(tmp_path, printer + NAMED.replace('DuckDBDestination("warehouse.duckdb")', "Printer()"))
    assert main(["check"]) == 1
    assert problems(capsys) == ["problem  destination Printer(): OSError: no paper"]
    assert main(["state", "list"]) == 1
    assert "No destination in definitions.py keeps state." in capsys.readouterr().err


def test_definitions_made_by_a_function(tmp_path: Path, capsys: Capture) -> None:
    lines = NAMED.strip().splitlines()
    body = "\n".join(f"    {line}" for line in lines[:-1])
    made = lines[-1].replace("defs = ", "return ")
    project(tmp_path, f"@dg.definitions\ndef defs():\n{body}\n    {made}\n")
    assert main(["check"]) == 0
    assert "definitions.py: 2 assets" in capsys.readouterr().out


def test_an_io_manager_of_ones_own(tmp_path: Path, capsys: Capture) -> None:
    manager = """
class Nowhere(dg.IOManager):
    def handle_output(self, context, obj): ...
    def load_input(self, context): ...
"""
    project(tmp_path, manager + NAMED.replace('DuckDBDestination("warehouse.duckdb")', "Nowhere()"))
    assert main(["check"]) == 0
    assert "ok       destination of an IO manager: it has nothing to ask" in capsys.readouterr().out


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"memory_limit": "lots"}, "memory_limit"),
        ({"no_such_setting": 1}, "no_such_setting"),
        ({"threads": "many"}, "threads"),
        ({"access_mode": "read_only"}, "access_mode"),
    ],
)
def test_settings_that_duckdb_refuses_are_a_problem_before_there_is_a_file(
    settings: dict[str, Any], told: str, there: bool, tmp_path: Path
) -> None:
    path = tmp_path / "new.duckdb"
    if there:
        duckdb.connect(str(path)).close()
    with pytest.raises((ConfigError, UnavailableError), match=told):
        DuckDBDestination(str(path), settings=settings).test_connection()
    assert path.exists() == there
    DuckDBDestination(str(path), settings={"memory_limit": "1GB", "threads": 2}).test_connection()
    assert path.exists() == there


def test_check_tells_of_settings_that_duckdb_refuses(tmp_path: Path, capsys: Capture) -> None:
    (tmp_path / "definitions.py").write_text(
        "import dagster as dg\n"
        "from etl_assets import DuckDBDestination, Stream, stream_assets\n"
        "from etl_assets.sources.base import Source\n"
        "class Empty(Source):\n"
        "    streams = [Stream('orders')]\n"
        "    def load_data(self, stream, **kwargs):\n"
        "        yield [{'id': 1}]\n"
        "warehouse = DuckDBDestination('w.duckdb', settings={'memory_limit': 'lots'})\n"
        "defs = dg.Definitions(assets=stream_assets(Empty(name='shop'), destination=warehouse))\n",
        encoding="utf-8",
    )
    assert main(["check"]) == 1
    (problem,) = problems(capsys)
    assert "memory_limit" in problem
    assert not (tmp_path / "w.duckdb").exists()


PSYCOPG2 = "postgresql+psycopg2"


@pytest.mark.parametrize(
    "storage",
    [
        "{postgres: {postgres_url: {env: URL}}}",
        "{postgres: {postgres_db: {hostname: db, username: u, db_name: d, scheme: SCHEME}}}",
        "{module: dagster_postgres.storage, class: DagsterPostgresStorage, config: {postgres_url: {env: URL}}}",
        "{module: dagster_postgres.event_log, class: PostgresEventLogStorage, config: {postgres_url: {env: URL}}}",
    ],
)
def test_a_driver_with_which_every_event_would_fail_is_a_problem(
    storage: str, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That they would fail is seen in tests/scaling/test_celery.py."""
    project(tmp_path, NAMED)
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    part = "event_log_storage" if "event_log" in storage else "storage"
    file = tmp_path / "home" / "dagster.yaml"
    for scheme, code in (("postgresql+psycopg", 1), (PSYCOPG2, 0)):
        monkeypatch.setenv("URL", f"{scheme}://u:hunter2hunter2@db/d")
        file.write_text(f"{part}: {storage.replace('SCHEME', scheme)}\n", encoding="utf-8")
        assert main(["check"]) == code
        told = problems(capsys)
        assert len(told) == code
        assert not code or f"`{PSYCOPG2}://`" in told[0]
        assert "hunter2" not in "".join(told)
    monkeypatch.delenv("URL")  # what is not known is not judged
    assert main(["check"]) == 0


def test_an_address_without_a_driver_is_as_sqlalchemy_reads_it(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    project(tmp_path, NAMED)
    address = "postgresql://u@db/d"
    Path("dagster.yaml").write_text(f"storage: {{postgres: {{postgres_url: '{address}'}}}}\n")
    by_default = make_url(address).get_dialect().driver
    assert main(["check"]) == int(by_default == "psycopg")
    assert len(problems(capsys)) == int(by_default == "psycopg")
