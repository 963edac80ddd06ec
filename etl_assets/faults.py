"""Named points at which a test may kill or fail a sync; nothing happens when none is set.

`ETL_ASSETS_FAULT=point:n:action` arms one point: the `n`-th time (from 1) the process passes it,
the action happens.
Actions: `kill` (SIGKILL to ourselves), `term` and `int` (SIGTERM, SIGINT), `exit`
(`os._exit(137)`), `raise` (a
`FaultError`), `wait` (make the file `waiting` in the working directory, and go on when someone has
removed it).
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

VARIABLE = "ETL_ASSETS_FAULT"
WAITING = Path("waiting")
PAUSE_SECONDS = 0.05
SIGNALS = {"kill": "SIGKILL", "term": "SIGTERM", "int": "SIGINT"}

_passed: Counter[str] = Counter()


class FaultError(RuntimeError):
    """Raised at an armed fault point whose action is `raise`."""


def fault(point: str) -> None:
    """Pass a fault point."""
    armed = os.environ.get(VARIABLE)
    if armed:
        _act(point, armed)


def _act(point: str, armed: str) -> None:
    name, _, rest = armed.partition(":")
    nth, _, action = rest.partition(":")
    _passed[point] += 1
    if name != point or _passed[point] != int(nth or 1):
        return
    if action == "exit":
        os._exit(137)
    elif action in SIGNALS:
        os.kill(os.getpid(), getattr(signal, SIGNALS[action]))
    elif action == "wait":
        WAITING.touch()
        while WAITING.exists():
            time.sleep(PAUSE_SECONDS)
    else:
        raise FaultError(point)
