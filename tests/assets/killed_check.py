"""Materialize a stream with a check whose process is killed while the database answers it.

Arguments: the folder, `duckdb` or a schema in PostgreSQL, how many rows the source has, and `kill` or
`live`.
"""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import dagster as dg

from etl_assets import DuckDBDestination, PostgresDestination, checks, stream_assets
from etl_assets.destinations.database.checking import Loaded
from tests.assets.shop import Shop, people
from tests.servers import POSTGRES


def warehouse(folder: Path, place: str) -> Any:
    """Return the destination."""
    if place == "duckdb":
        return DuckDBDestination(str(folder / "warehouse.duckdb"))
    return PostgresDestination(POSTGRES, schema_name=place, state_schema=place)


def kill_within_a_check() -> None:
    """Have the process killed once the database has answered a check, and nothing is committed."""
    ask = Loaded.ask

    def killed(self: Loaded, query: Any) -> Any:
        assert ask(self, query)
        os.kill(os.getpid(), signal.SIGKILL)

    Loaded.ask = killed  # type: ignore[method-assign]


def main(folder: Path, place: str, rows: int, how: str) -> int:
    """Run it; gives 0 if the run succeeded."""
    if how == "kill":
        kill_within_a_check()
    wanted = [checks.not_null("name"), checks.unique_key(gate=True)]
    assets = stream_assets(
        Shop({"orders": people(rows)}),
        ["orders"],
        destination=warehouse(folder, place),
        options={"orders": {"checks": wanted}},
    )
    with dg.DagsterInstance.local_temp(str(folder)) as instance:
        return int(not dg.materialize(assets, instance=instance, raise_on_error=False).success)


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]))
