"""Where batches wait: what is left of a load that was killed, at whatever moment, is swept by the next one."""

import os
from pathlib import Path

import pyarrow as pa
import pytest

from etl_assets import faults
from etl_assets.faults import FaultError
from etl_assets.staging import LOCK_FILE, Staging, sweep

TABLE = pa.table({"n": [1, 2, 3]})


def test_a_directory_whose_owner_lives_is_left_alone(tmp_path: Path) -> None:
    staging = Staging(tmp_path / "root" / "load", memory_bytes=0)
    staging.add(TABLE)
    sweep(tmp_path / "root")
    assert [one.to_pydict() for one in staging.tables()] == [{"n": [1, 2, 3]}]
    staging.clear()
    assert not (tmp_path / "root" / "load").exists()


@pytest.mark.parametrize("files", [[LOCK_FILE, "000000.arrow"], [LOCK_FILE], []])
def test_what_a_dead_owner_left_is_swept(files: list[str], tmp_path: Path) -> None:
    """Whichever of its files are left: it may have been killed while it removed them, the lock file last."""
    load = tmp_path / "root" / "load"
    load.mkdir(parents=True)
    for name in files:
        (load / name).touch()
    sweep(tmp_path / "root")
    assert not (tmp_path / "root").exists()


def test_the_lock_file_goes_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = Staging(tmp_path / "root" / "load", memory_bytes=0)
    staging.add(TABLE)
    unlinked: list[str] = []
    unlink = Path.unlink

    def note(path: Path, *, missing_ok: bool = False) -> None:
        unlinked.append(path.name)
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", note)
    staging.clear()
    assert unlinked == ["000000.arrow", LOCK_FILE]


def test_a_directory_that_is_swept_while_it_is_made_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging = Staging(tmp_path / "root" / "load", memory_bytes=0)
    made: list[Path] = []

    def make_and_sweep_once(path: Path, **given: object) -> None:
        os.makedirs(path, exist_ok=True)  # noqa: PTH103 - `mkdir` is what is replaced
        made.append(path)
        if len(made) == 1:
            sweep(tmp_path / "root")

    monkeypatch.setattr(Path, "mkdir", make_and_sweep_once)
    staging.add(TABLE)
    assert len(made) == 2
    assert (tmp_path / "root" / "load" / "000000.arrow").exists()
    staging.clear()


def test_a_clean_up_that_fails_is_ended_by_the_next_sweep(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    staging = Staging(tmp_path / "root" / "load", memory_bytes=0)
    staging.add(TABLE)
    monkeypatch.setattr(faults, "_passed", type(faults._passed)())
    monkeypatch.setenv(faults.VARIABLE, "cleaning:1:raise")
    with pytest.raises(FaultError):
        staging.clear()
    assert (tmp_path / "root" / "load").exists()
    sweep(tmp_path / "root")
    assert not (tmp_path / "root").exists()
