"""A step of two streams with one state is killed with SIGKILL: both tables are at the state, then all is there."""

import signal
from pathlib import Path
from typing import Any

from tests.faults.together_site import TogetherSite, expected

BATCH_ROWS = 10
STREAMS = ("append", "merge")
FIRST: list[dict[str, Any]] = [{"n": n, "id": n % 20, "text": f"first {n}"} for n in range(30)]
THEN: list[dict[str, Any]] = [
    *FIRST,
    *({"n": n, "id": n % 20, "text": f"then {n}"} for n in range(30, 60)),
]


def test_killed_then_run_again(tmp_path: Path) -> None:
    site = TogetherSite(tmp_path)
    site.write(FIRST)
    done = site.run()
    assert done.returncode == 0, done.stderr
    site.write(THEN)

    reached = FIRST[-1]["n"]
    # In the second transaction, with the rows of both and the state written; then after it, before
    # any event.
    for point, moves in (("state:2:kill", BATCH_ROWS), ("committed:1:kill", BATCH_ROWS)):
        killed = site.run(point)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        reached += moves
        assert site.bookmark("") == reached
        for stream in STREAMS:
            assert site.look(stream) == expected(stream, THEN[: reached + 1])
            assert len(site.events(stream)) == 1, "an event only for what a run has finished"

    recovered = site.run()
    assert recovered.returncode == 0, recovered.stderr
    for stream in STREAMS:
        assert site.look(stream) == expected(stream, THEN)
        event = site.events(stream)[-1]
        assert event["dagster/row_count"] == len(expected(stream, THEN))
        assert event["etl_assets/bookmark"] == {"n": 59}
        assert event["etl_assets/bookmark_previous"] == {"n": reached}
        assert event["etl_assets/records_loaded"] == THEN[-1]["n"] - reached
    assert site.left_over() == []
