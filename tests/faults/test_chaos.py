"""A sync is killed at a random moment, 200 times with fixed seeds; run again, it ends with what the source has."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests.faults import loads

ROOT = Path(__file__).parents[2]
KILLS = 200
QUICK_KILLS = 6
FIRST: list[dict[str, Any]] = [{"n": n, "id": n % 50, "text": f"first {n}"} for n in range(40)]
THEN: list[dict[str, Any]] = [*FIRST, *({"n": n, "id": n % 50, "text": f"then {n}"} for n in range(40, 200))]


def killed_at(seconds: float, folder: Path, stream: str) -> int:
    """Start a sync, kill it after so long; gives its exit status."""
    command = [sys.executable, loads.__file__, str(folder / "warehouse.duckdb"), str(folder / "rows.jsonl"), stream]
    with subprocess.Popen(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        time.sleep(seconds)
        process.kill()
    return process.returncode


def one(seed: int, folder: Path) -> str:
    """Kill one sync, check, and recover; gives what happened to it."""
    chance = random.Random(seed)
    stream = chance.choice(["append", "merge", "replace"])
    warehouse = folder / "warehouse.duckdb"
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in THEN))
    loads.load(warehouse, FIRST, stream)
    status = killed_at(chance.uniform(0.4, 1.6), folder, stream)
    assert status in (0, -signal.SIGKILL)
    reached = loads.check(warehouse, stream, FIRST, THEN)
    loads.load(warehouse, THEN, stream)
    assert loads.found(warehouse, stream)[0] == loads.expected(stream, THEN), (seed, reached)
    assert sorted(path.name for path in folder.iterdir()) == ["rows.jsonl", "warehouse.duckdb"]
    return "ended" if status == 0 else "killed early" if reached in (-1, 39) else "killed on its way"


@pytest.mark.parametrize("seed", range(QUICK_KILLS))
def test_a_kill_at_a_random_moment(seed: int, tmp_path: Path) -> None:
    one(seed, tmp_path)


@pytest.mark.full
@pytest.mark.timeout(1800)
def test_two_hundred_kills(tmp_path_factory: pytest.TempPathFactory) -> None:
    outcomes = [one(seed, tmp_path_factory.mktemp(f"kill{seed}")) for seed in range(KILLS)]
    counts = {outcome: outcomes.count(outcome) for outcome in sorted(set(outcomes))}
    print(f"\n{KILLS} kills: {counts}")
    assert counts["killed on its way"] > KILLS // 10, "the moments must hit the middle of syncs"
