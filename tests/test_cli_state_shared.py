"""`etl-assets state` where the streams of a source share one state."""

import json
from pathlib import Path

import pytest

from etl_assets.cli import main
from tests.many import A, B, Scripted, ends, load, numbers, rows, shared, state

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "warehouse.duckdb"
    load(Scripted([A, B], [rows(A, 1), rows(B, 1), shared(1), *ends(A, B)]), path)
    return path


def ask(path: Path, *words: str) -> int:
    return main(["state", words[0], "--duckdb", str(path), *words[1:]])


def test_it_is_listed_and_printed_under_the_sources_name(path: Path, capsys: Capture) -> None:
    assert ask(path, "list") == 0
    assert "(the source)" in capsys.readouterr().out
    assert ask(path, "get", "many/") == 0
    assert json.loads(capsys.readouterr().out) == {"at": 1}


def test_it_is_set_as_a_whole(path: Path, capsys: Capture) -> None:
    assert ask(path, "set", "many/", '{"any": "shape"}') == 0
    assert state(path) == {"any": "shape"}
    assert ask(path, "set", "many/a", '{"n": 0}') == 1
    assert "etl-assets state set many/" in capsys.readouterr().err


def test_a_reset_of_the_source_replaces_the_tables(path: Path, capsys: Capture) -> None:
    assert ask(path, "reset", "many/") == 0
    assert "all its streams" in capsys.readouterr().out
    read = Scripted([A], [rows(A, 5), shared(5), *ends(A)])
    load(read, path)
    assert (numbers(path, "a"), numbers(path, "b")) == ([5], [1])
    load(Scripted([B], [rows(B, 1), shared(5), *ends(B)]), path)
    assert numbers(path, "b") == [1]


def test_a_reset_of_one_stream_refreshes_it_alone(path: Path) -> None:
    assert ask(path, "reset", "many/a") == 0
    read = Scripted([A, B], [rows(A, 5), *ends(A), shared(5), *ends(B)])
    load(read, path)
    assert set(read.asked[0].refreshed) == {A.key}
    assert read.asked[0].shared == {"at": 1}
    assert (numbers(path, "a"), numbers(path, "b")) == ([5], [1])


def test_a_rename_takes_it_along(path: Path, capsys: Capture) -> None:
    assert ask(path, "rename", "many", "few") == 0
    assert "3 stored states" in capsys.readouterr().out
    assert ask(path, "get", "few/") == 0


def test_rewind_and_import_say_why_they_do_not_work(
    path: Path, tmp_path: Path, capsys: Capture
) -> None:
    assert ask(path, "rewind", "many/a", "0660c840aa0a1f5aa5eaf286af") == 1
    assert "share one state" in capsys.readouterr().err
    (tmp_path / "state.json").write_text('{"bookmarks": {"a": {"n": 1}}}')
    assert ask(path, "import", "many", str(tmp_path / "state.json")) == 1
    assert "etl-assets state set many/ @state.json" in capsys.readouterr().err
