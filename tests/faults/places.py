"""The places that the fault harness is run against: a new destination is one more class here."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from typing_extensions import override

from etl_assets.destinations.duckdb import DuckDBDestination
from etl_assets.testing.place import SMALL_STAGING_BYTES, Place

HOLD = "import sys, duckdb; con = duckdb.connect(sys.argv[1]); print('held', flush=True); sys.stdin.read()"


class DuckDBPlace(Place):
    """A file in the folder."""

    @override
    def destination(self) -> DuckDBDestination:
        path = str(self.folder / "warehouse.duckdb")
        return DuckDBDestination(path, staging_memory_bytes=SMALL_STAGING_BYTES, lock_timeout=self.lock_seconds)

    @override
    def files(self) -> set[str]:
        return {*super().files(), "warehouse.duckdb"}

    @override
    @contextmanager
    def hold(self) -> Iterator[None]:
        command = [sys.executable, "-c", HOLD, str(self.folder / "warehouse.duckdb")]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == "held\n"
            yield
            holder.communicate()


PLACES: list[type[Place]] = [DuckDBPlace]
