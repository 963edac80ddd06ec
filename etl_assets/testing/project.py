"""The Dagster project of the fault harness: `Lines` into the place that the environment names."""

import os
import sys

import dagster as dg

from etl_assets.assets.factory import stream_assets
from etl_assets.faults import fault
from etl_assets.testing.lines import SOURCE, STREAMS, Lines, load
from etl_assets.testing.place import PLACE, Place, place_here

PAUSE_SECONDS = 0.005


def assets_of(place: Place) -> list[dg.AssetsDefinition]:
    """Return the assets of a place."""
    return stream_assets(Lines(place.folder / "rows.jsonl"), destination=place.output())


def after(stream: str) -> dg.AssetsDefinition:
    """Return an asset that runs when the event of a stream is stored, in the same run."""

    @dg.asset(name=f"after_{stream}", deps=[dg.AssetKey([SOURCE, stream])])
    def runs_later() -> None:
        fault("event")

    return runs_later


def chosen(place: Place, stream: str, *, later: bool) -> list[dg.AssetsDefinition]:
    """Return the asset of one stream, and the one after it where that is wanted."""
    found = [one for one in assets_of(place) if dg.AssetKey([SOURCE, stream]) in one.keys]
    return [*found, after(stream)] if later else found


def _limit_files(bytes_: str) -> None:
    """Let no file of this process grow beyond so many bytes."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (int(bytes_), resource.RLIM_INFINITY))


if (
    __name__ == "__main__"
):  # one sync without Dagster: `python -m etl_assets.testing.project STREAM [BYTES]`
    here = place_here()
    if sys.argv[2:]:
        _limit_files(sys.argv[2])
    lines = Lines(
        here.folder / "rows.jsonl", pause=PAUSE_SECONDS, started=here.folder / "home" / "started"
    )
    load(lines, here.destination(), sys.argv[1])
elif PLACE in os.environ:
    defs = dg.Definitions(assets=[*assets_of(place_here()), *map(after, STREAMS)])
