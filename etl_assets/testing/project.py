"""The Dagster project of the fault harness: the streams of `Lines` into a place, which the environment names."""

import math
import os
import sys
from collections.abc import Sequence

import dagster as dg

from etl_assets.assets.factory import stream_assets
from etl_assets.faults import fault
from etl_assets.testing.lines import SOURCE, STREAMS, Lines, load
from etl_assets.testing.place import PLACE, Place, place_here

PAUSE_SECONDS = 0.005


def assets_of(place: Place) -> list[dg.AssetsDefinition]:
    """Give the assets of a place."""
    return stream_assets(Lines(place.folder / "rows.jsonl"), destination=place.output())


def after(stream: str) -> dg.AssetsDefinition:
    """Give an asset that runs when the event of a stream is stored, in the same run."""

    @dg.asset(name=f"after_{stream}", deps=[dg.AssetKey([SOURCE, stream])])
    def runs_later() -> None:
        fault("event")

    return runs_later


def definitions(place: Place) -> dg.Definitions:
    """Give all assets."""
    others: Sequence[dg.AssetsDefinition] = [after(stream) for stream in STREAMS]
    return dg.Definitions(assets=[*assets_of(place), *others])


def _limit_files(bytes_: str) -> None:
    """Let no file of this process grow beyond so many bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (int(bytes_), resource.RLIM_INFINITY))


if __name__ == "__main__":  # one sync without Dagster: `python -m etl_assets.testing.project STREAM [BYTES]`
    here = place_here()
    if sys.argv[2:] and float(sys.argv[2]) < math.inf:
        _limit_files(sys.argv[2])
    load(Lines(here.folder / "rows.jsonl", pause=PAUSE_SECONDS), here.destination(), sys.argv[1])
elif PLACE in os.environ:
    defs = definitions(place_here())
