"""A read of MySQL that nobody wants any more: it is dropped without a word, and nothing waits for its rows."""

import gc
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from etl_assets.model.stream import Stream
from tests.sources.sql_databases import database, rows

ROWS = 60_000
SECONDS = 60
CYCLE = "held = [held]; held.append(held)"
DROPS = {"the name is gone": "del held", "a cycle is collected": f"{CYCLE}; del held; gc.collect()"}
PROGRAM = """
import gc, sys
from etl_assets.model.stream import Stream
from etl_assets.sources.sql import SqlSource

held = SqlSource("shop", sys.argv[1]).load_data(Stream("t"))
next(held)
{drop}
print("done")
"""


@pytest.mark.parametrize("drop", DROPS)
def test_a_read_that_is_dropped_ends(drop: str, tmp_path: Path) -> None:
    with database("mysql", tmp_path) as shop:
        fill(shop)
        program = [sys.executable, "-c", PROGRAM.format(drop=DROPS[drop]), shop.url]
        ended = subprocess.run(program, capture_output=True, text=True, timeout=SECONDS, check=True)
    assert ended.stdout == "done\n"
    assert ended.stderr == ""


def test_another_read_follows_one_that_is_dropped(tmp_path: Path) -> None:
    with database("mysql", tmp_path) as shop:
        fill(shop)
        source, stream = shop.source(), Stream("t")
        held: list[Any] = [source.load_data(stream)]
        next(held[0])
        held.append(held)
        del held
        gc.collect()
        reading: Any = source.load_data(stream)
        with closing(reading) as read:
            next(read)
        assert len(rows(source, stream)) == ROWS


def fill(shop: Any) -> None:
    """Make a table of several chunks, whose texts are no packets."""
    shop.run("CREATE TABLE t (id integer PRIMARY KEY, note varchar(200))")
    shop.insert("t", [(number, "x" * 150) for number in range(ROWS)])
