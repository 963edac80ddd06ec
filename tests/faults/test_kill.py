"""Runs are ended in every way at every point; nothing is lost, doubled, ahead or left over."""

from etl_assets.testing.kills import KillConformance
from tests.faults.places import DuckDBPlace


class TestDuckDB(KillConformance):
    place = DuckDBPlace
