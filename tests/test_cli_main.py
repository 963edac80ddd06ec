"""`etl-assets` itself: the real script, exit codes, errors, and what loading a file leaves behind."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from etl_assets import __version__
from etl_assets.cli import main
from tests.cli_shop import CUSTOMERS, GLOB, NAMED, load, project, run_sql

Capture = pytest.CaptureFixture[str]
SCRIPT = Path(sysconfig.get_path("scripts")) / "etl-assets"


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **variables}
    return subprocess.run(
        [SCRIPT, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=120,
    )


def test_the_script_goes_through_a_project(tmp_path: Path) -> None:
    project(tmp_path, GLOB)
    assert run("--version").stdout == f"etl-assets {__version__}\n"
    assert run("discover", "--check").returncode == 1
    assert run("discover", "definitions.py").returncode == 0
    checked = run("check")
    assert (checked.returncode, checked.stderr) == (0, "")
    load(tmp_path, CUSTOMERS)
    got = run("state", "get", "shop/customers")
    assert (got.returncode, json.loads(got.stdout)) == (0, {"seq": 2})
    run_sql(tmp_path, "DROP TABLE orders;")
    assert run("check").returncode == 1
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"catalogs", "definitions.py", "shop.db", "warehouse.duckdb"}


def test_a_wrong_call_exits_with_2() -> None:
    for arguments in (
        [],
        ["frobnicate"],
        ["state"],
        ["state", "get"],
        ["state", "get", "a/b", "c/d", "e/f"],
    ):
        with pytest.raises(SystemExit) as caught:
            main(arguments)
        assert caught.value.code == 2


def test_an_error_is_one_line_and_a_traceback_is_given_on_request(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    project(tmp_path, NAMED + "\nundefined_name\n")
    line = "error: NameError: name 'undefined_name' is not defined (definitions.py, line "
    assert main(["check"]) == 1
    err = capsys.readouterr().err
    assert err.startswith(line)
    assert err.count("\n") == 1
    for arguments in (["--traceback", "check"], ["check", "--traceback"]):
        assert main(arguments) == 1
        assert "Traceback (most recent call last)" in capsys.readouterr().err
    monkeypatch.setenv("ETL_ASSETS_DEBUG", "1")
    assert main(["check"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_no_error_and_no_traceback_shows_a_secret(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "SHOP_URL", "postgresql://shop:s3cr3t-word@127.0.0.1:1/shop?connect_timeout=2"
    )
    project(tmp_path, GLOB.replace('"sqlite:///shop.db"', 'dg.EnvVar("SHOP_URL")'))
    assert main(["discover", "--traceback"]) == 1
    assert main(["check"]) == 1
    out = capsys.readouterr()
    assert "127.0.0.1" in out.err
    assert "s3cr3t-word" not in out.out + out.err


def test_a_file_is_loaded_as_dagster_loads_it_and_leaves_nothing(
    tmp_path: Path, capsys: Capture
) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "from_here.py").write_text("NAME = 'shop'\n", encoding="utf-8")
    (folder / "beside.py").write_text(
        "STREAMS = ['customers']\nprint('loading')\n", encoding="utf-8"
    )
    text = f"""
import sys
from from_here import NAME
from beside import STREAMS
assert __name__ == "definitions" and sys.modules[__name__].__file__ == __file__

class Late(SqlSource):
    def test_connection(self):
        import late

shop = Late(name=NAME, url="sqlite:///{folder}/shop.db")
defs = dg.Definitions(assets=stream_assets(shop, STREAMS, destination=DuckDBDestination("warehouse.duckdb")))
"""
    (folder / "late.py").write_text("", encoding="utf-8")
    project(folder, text)
    path, modules = list(sys.path), set(sys.modules)
    assert main(["check", "project/definitions.py"]) == 0
    out = capsys.readouterr()
    assert "loading" in out.err
    assert "loading" not in out.out
    assert sys.path == path
    assert not {"definitions", "beside", "from_here", "late"} & (set(sys.modules) - modules)
    assert not list(folder.glob("__pycache__/definitions*"))
    # Another project whose module has the same name gets its own.
    (folder / "beside.py").write_text("STREAMS = ['orders', 'visits']\n", encoding="utf-8")
    assert main(["check", "project"]) == 0
    assert "2 assets" in capsys.readouterr().out


def test_a_command_on_a_duckdb_file_does_not_wait_for_dagster(tmp_path: Path) -> None:
    project(tmp_path, NAMED)
    load(tmp_path, CUSTOMERS)
    code = (
        "import sys; from etl_assets.cli import main; "
        "code = main(['state', 'list', '--duckdb', 'warehouse.duckdb']); "
        "sys.exit(code or 'dagster' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, check=False, timeout=120
    )
    assert done.returncode == 0


def test_an_option_of_a_call_is_named_as_the_command_has_it(capsys: Capture) -> None:
    assert main(["connectors", "spec", "source-nothing-such"]) == 1
    said = capsys.readouterr().err
    assert "--pip-url, --local-executable, --docker-image or --source-manifest" in said
    assert "pip_url=" not in said


@pytest.mark.parametrize("verb", [["get"], ["reset"]])
def test_a_stream_in_two_words_is_told_apart_from_a_definitions_file(
    verb: list[str], capsys: Capture
) -> None:
    assert main(["state", *verb, "shop", "orders"]) == 1
    assert (
        "'shop orders' names no stream. Write SOURCE/STREAM: shop/orders."
        in capsys.readouterr().err
    )


def test_the_sample_of_an_earlier_page_is_taken_as_it_is_and_no_other_file_is(
    tmp_path: Path, capsys: Capture
) -> None:
    assert main(["sample", "shop.db"]) == 0
    assert (
        capsys.readouterr().out
        == "shop.db: customers, 2 rows; orders, 3 rows. Its url: sqlite:///shop.db\n"
    )
    run_sql(tmp_path, "DELETE FROM orders WHERE id = 3; CREATE TABLE more (id INTEGER)")
    before = (tmp_path / "shop.db").read_bytes()
    assert main(["sample", "shop.db"]) == 0
    out = capsys.readouterr().out
    assert out == "shop.db: it is there already, and stays as it is. Its url: sqlite:///shop.db\n"
    run_sql(tmp_path, "DROP TABLE more; ALTER TABLE orders DROP COLUMN note")
    changed = (tmp_path / "shop.db").read_bytes()
    (tmp_path / "text.db").write_text("mine", encoding="utf-8")
    (tmp_path / "folder").mkdir()
    for other in ("shop.db", "text.db", "folder"):
        assert main(["sample", other]) == 1
        assert f"There is a file '{other}' already." in capsys.readouterr().err
    assert changed != before
    assert (tmp_path / "shop.db").read_bytes() == changed
    assert (tmp_path / "text.db").read_text(encoding="utf-8") == "mine"
