"""Named points at which a test may kill or fail a sync; nothing happens when none is set.

`ETL_ASSETS_FAULT=point:n:action` arms one point: the `n`-th time (from 1) the process passes it, the action happens.
Actions: `kill` (SIGKILL to ourselves), `exit` (`os._exit(137)`), `term` (SIGTERM to ourselves), `raise` (a
`FaultError`), `wait` (make the file `waiting` in the working directory, and go on when someone has removed it).
"""

import os
import signal
import time
from collections import Counter
from pathlib import Path

VARIABLE = "ETL_ASSETS_FAULT"
WAITING = Path("waiting")
PAUSE_SECONDS = 0.05

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
    if name != point:
        return
    _passed[point] += 1
    if _passed[point] != int(nth or 1):
        return
    if action == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    elif action == "exit":
        os._exit(137)
    elif action == "term":
        os.kill(os.getpid(), signal.SIGTERM)
    elif action == "wait":
        WAITING.touch()
        while WAITING.exists():
            time.sleep(PAUSE_SECONDS)
    else:
        raise FaultError(point)
