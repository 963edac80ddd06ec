"""`etl-assets discover`: catalogs are written, compared, and keep what people set in them."""

import json
from pathlib import Path
from typing import Any

import pytest

from etl_assets.cli import main
from tests.cli_shop import GLOB, NAMED, project, run_sql

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def catalog(folder: Path) -> dict[str, Any]:
    document = json.loads((folder / "catalogs" / "shop.json").read_text(encoding="utf-8"))
    return {entry["tap_stream_id"]: entry for entry in document["streams"]}


def edit(folder: Path, stream: str, **changes: Any) -> None:
    path = folder / "catalogs" / "shop.json"
    document = json.loads(path.read_text(encoding="utf-8"))
    for entry in document["streams"]:
        if entry["tap_stream_id"] == stream:
            entry.update(changes)
    path.write_text(json.dumps(document), encoding="utf-8")


def select(
    entry: dict[str, Any], *, selected: bool, place: tuple[str, ...] = ()
) -> list[dict[str, Any]]:
    metadata: list[dict[str, Any]] = entry["metadata"]
    for one in metadata:
        if one["breadcrumb"] == list(place):
            one["metadata"]["selected"] = selected
    return metadata


def test_a_missing_catalog_is_written_sorted_and_then_there_is_no_change(
    tmp_path: Path, capsys: Capture
) -> None:
    project(tmp_path, GLOB)
    assert main(["discover", "definitions.py"]) == 0
    assert capsys.readouterr().out.splitlines() == [
        "shop: catalogs/shop.json written (3 streams).",
        "  stream 'customers' is new.",
        "  stream 'orders' is new.",
        "  stream 'visits' is new.",
    ]
    assert list(catalog(tmp_path)) == ["customers", "orders", "visits"]
    first = (tmp_path / "catalogs" / "shop.json").read_bytes()
    assert main(["discover"]) == 0
    assert capsys.readouterr().out == "shop: catalogs/shop.json: no change (3 streams).\n"
    assert (tmp_path / "catalogs" / "shop.json").read_bytes() == first


def test_a_changed_table_is_told_and_what_people_set_stays(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, GLOB)
    main(["discover"])
    before = catalog(tmp_path)
    edit(
        tmp_path,
        "customers",
        replication_method="INCREMENTAL",
        replication_key="seq",
        stream_alias="clients",
        unique_conflict_method="IGNORE",
        owner="team:shop",
        metadata=select(before["customers"], selected=False, place=("properties", "name")),
    )
    edit(tmp_path, "orders", metadata=select(before["orders"], selected=False))
    edit(tmp_path, "visits", key_properties=["seq", "page"])
    run_sql(
        tmp_path,
        "ALTER TABLE customers ADD COLUMN email TEXT; CREATE TABLE extra (id INTEGER PRIMARY KEY);",
    )
    capsys.readouterr()
    assert main(["discover"]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "shop: catalogs/shop.json written (4 streams)."
    assert "  stream 'customers': column 'email' is new (string or null)." in [
        line.replace("null or string", "string or null") for line in out
    ]
    assert "  stream 'extra' is new." in out
    assert len(out) == 3
    after = catalog(tmp_path)
    customers = after["customers"]
    assert (customers["replication_method"], customers["replication_key"]) == ("INCREMENTAL", "seq")
    assert (customers["stream_alias"], customers["unique_conflict_method"]) == ("clients", "IGNORE")
    assert customers["owner"] == "team:shop"
    assert "email" in customers["schema"]["properties"]
    selected = {
        tuple(one["breadcrumb"]): one["metadata"].get("selected") for one in customers["metadata"]
    }
    assert selected["properties", "name"] is False
    assert selected["properties", "email"] is None
    assert (
        next(one for one in after["orders"]["metadata"] if not one["breadcrumb"])["metadata"][
            "selected"
        ]
        is False
    )
    assert after["visits"]["key_properties"] == ["seq", "page"]
    assert main(["discover"]) == 0
    assert "no change" in capsys.readouterr().out


def test_a_primary_key_that_nobody_set_follows_the_source(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, GLOB)
    main(["discover"])
    run_sql(
        tmp_path,
        "DROP TABLE orders; CREATE TABLE orders (id INTEGER, line INTEGER, PRIMARY KEY (id, line));",
    )
    capsys.readouterr()
    assert main(["discover"]) == 0
    assert "its primary key was id, is id, line." in capsys.readouterr().out
    assert catalog(tmp_path)["orders"]["key_properties"] == ["id", "line"]


def test_a_primary_key_that_somebody_set_stays_and_a_note_says_so(
    tmp_path: Path, capsys: Capture
) -> None:
    project(tmp_path, GLOB)
    main(["discover"])
    edit(tmp_path, "orders", key_properties=["seq"])
    capsys.readouterr()
    assert main(["discover"]) == 0
    assert (
        "note: stream 'orders' keeps the primary key seq; the source says id."
        in capsys.readouterr().out
    )
    assert catalog(tmp_path)["orders"]["key_properties"] == ["seq"]


def test_a_replication_key_whose_column_is_gone_is_noted(tmp_path: Path, capsys: Capture) -> None:
    project(tmp_path, GLOB)
    main(["discover"])
    edit(tmp_path, "orders", replication_method="INCREMENTAL", replication_key="seq")
    run_sql(tmp_path, "ALTER TABLE orders DROP COLUMN seq;")
    capsys.readouterr()
    assert main(["discover"]) == 0
    assert (
        "note: stream 'orders': 'seq' of its replication key is no column."
        in capsys.readouterr().out
    )


def test_check_writes_nothing_and_tells_drift_by_its_exit_code(
    tmp_path: Path, capsys: Capture
) -> None:
    project(tmp_path, GLOB)
    assert main(["discover", "--check"]) == 1
    assert not (tmp_path / "catalogs").exists()
    main(["discover"])
    capsys.readouterr()
    assert main(["discover", "--check"]) == 0
    assert capsys.readouterr().out == "shop: catalogs/shop.json: no change.\n"
    run_sql(tmp_path, "ALTER TABLE visits ADD COLUMN agent TEXT;")
    before = (tmp_path / "catalogs" / "shop.json").read_bytes()
    assert main(["discover", "--check"]) == 1
    assert "column 'agent' is new" in capsys.readouterr().out
    assert (tmp_path / "catalogs" / "shop.json").read_bytes() == before


def test_what_the_code_declares_is_not_lost_to_the_first_catalog(
    tmp_path: Path, capsys: Capture
) -> None:
    project(tmp_path, NAMED)
    assert main(["discover", "--check"]) == 0
    assert "not needed" in capsys.readouterr().out
    assert main(["discover"]) == 0
    found = catalog(tmp_path)
    assert found["customers"]["replication_key"] == "seq"
    assert found["visits"]["replication_key"] == "seq"
    # A catalog file goes before the code: what the code does not name must not become an asset by
    # it.
    assert (
        next(one for one in found["orders"]["metadata"] if not one["breadcrumb"])["metadata"][
            "selected"
        ]
        is False
    )
    capsys.readouterr()
    assert main(["check"]) == 0
    assert "definitions.py: 2 assets" in capsys.readouterr().out


def test_a_source_that_suddenly_has_no_streams_leaves_its_catalog_alone(
    tmp_path: Path, capsys: Capture
) -> None:
    project(tmp_path, GLOB)
    main(["discover"])
    before = (tmp_path / "catalogs" / "shop.json").read_bytes()
    run_sql(tmp_path, "DROP TABLE customers; DROP TABLE orders; DROP TABLE visits;")
    capsys.readouterr()
    assert main(["discover"]) == 1
    assert "error: source 'shop' has no streams." in capsys.readouterr().err
    assert (tmp_path / "catalogs" / "shop.json").read_bytes() == before


def test_only_the_named_source_is_asked(tmp_path: Path, capsys: Capture) -> None:
    project(
        tmp_path,
        """
warehouse = DuckDBDestination("warehouse.duckdb")
sources = [SqlSource(name=name, url=f"sqlite:///{file}") for name, file in (("shop", "shop.db"), ("gone", "no.db"))]
defs = dg.Definitions(assets=[a for s in sources for a in stream_assets(s, streams="*", destination=warehouse)])
""",
    )
    assert main(["discover", "--source", "shop"]) == 0
    assert [path.name for path in (tmp_path / "catalogs").iterdir()] == ["shop.json"]
    assert main(["discover"]) == 1
    assert "error: source 'gone': there is no file" in capsys.readouterr().err
    assert main(["discover", "--source", "shopp"]) == 1
    assert (
        "error: There is no source 'shopp' in definitions.py. Did you mean 'shop'?"
        in capsys.readouterr().err
    )
    assert not list((tmp_path / "catalogs").glob(".*"))


def test_the_catalog_is_written_beside_the_file_when_it_is_elsewhere(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    project(folder, GLOB.replace("shop.db", f"{folder}/shop.db"))
    assert main(["discover", "project/definitions.py"]) == 0
    assert (folder / "catalogs" / "shop.json").exists()
    assert main(["discover", "project", "--check"]) == 0


def test_what_is_committed_of_a_source_of_ones_own_goes_before_its_code(
    tmp_path: Path, capsys: Capture
) -> None:
    text = """
class Api(Source):
    streams = [Stream("users", primary_key=["id"], replication_key="seq"), Stream("posts")]

    def load_data(self, stream, **kwargs):
        yield [{"id": 1, "seq": 1}]

defs = dg.Definitions(assets=stream_assets(Api(name="shop"), destination=DuckDBDestination("warehouse.duckdb")))
"""
    project(tmp_path, text)
    assert main(["discover"]) == 0
    assert "as the definitions declare them" in capsys.readouterr().out
    edit(tmp_path, "posts", metadata=[{"breadcrumb": [], "metadata": {"selected": False}}])
    project(tmp_path, text.replace('"seq")', '"day")'))
    assert main(["discover"]) == 0
    out = capsys.readouterr().out
    assert "no change" in out
    assert (
        "note: stream 'users' stays INCREMENTAL by seq; the source says INCREMENTAL by day." in out
    )
    assert catalog(tmp_path)["users"]["replication_key"] == "seq"
    assert main(["check"]) == 0
    assert "definitions.py: 1 asset\n" in capsys.readouterr().out
