"""Runs are ended by a signal or an error at fault points; nothing is lost, doubled, ahead or left over."""

from collections.abc import Sequence

import pytest

from etl_assets.testing.kills import Kill, KillConformance
from tests.faults.places import DuckDBPlace

SAMPLE = {
    "append-P2-staged-middle-kill",
    "merge-P4-rows-middle-kill",
    "append-P5-state-first-kill",
}


class TestDuckDB(KillConformance):
    place = DuckDBPlace

    def marks(self, kill: Kill) -> Sequence[pytest.MarkDecorator]:
        return [] if str(kill) in SAMPLE else [pytest.mark.full]
