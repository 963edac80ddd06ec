"""Named points at which a test may kill or fail a sync; nothing happens when none is set.

`ETL_ASSETS_FAULT=point:n:action` arms one point: the `n`-th time (from 1) the process passes it, the action happens.
Actions: `kill` (SIGKILL to ourselves), `exit` (`os._exit(137)`), `term` (SIGTERM to ourselves), `raise` (a
`FaultError`), `sleep` (for ten minutes: another process is to act meanwhile).
"""

import os
import signal
import time
from collections import Counter

VARIABLE = "ETL_ASSETS_FAULT"
SLEEP_SECONDS = 600

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
    elif action == "sleep":
        time.sleep(SLEEP_SECONDS)
    else:
        raise FaultError(point)
