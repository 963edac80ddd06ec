"""How often an API is asked: a rate that all streams of a source share, and the pauses it wants."""

import re
import threading
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime

from etl_assets.exceptions import ConfigError

_RATE = re.compile(
    r"(?P<count>\d+(\.\d+)?)\s*/\s*(?P<times>\d+(\.\d+)?)?\s*(?P<unit>s|sec|second|m|min|minute|h|hour|d|day)"
)
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}
_LARGEST_SPAN = 10_000_000
"""A number in a rate header above this is a moment, in seconds since 1970; below, a span."""


def interval_of(rate: str | None) -> float:
    """Return how many seconds are between two requests of a rate such as `10/s` or `600/h`.

    Raises:
        ConfigError: It is no rate.
    """
    if rate is None:
        return 0.0
    found = _RATE.fullmatch(str(rate).strip())
    if found is None or float(found["count"]) <= 0:
        raise ConfigError(f"rate is {rate!r}.", hint='For example "10/s", "600/m" or "1000/h".')
    return _SECONDS[found["unit"][0]] * float(found["times"] or 1) / float(found["count"])


class Limiter:
    """Has requests wait for their turn.

    Args:
        interval: Seconds between two requests.
    """

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._next = self._paused = 0.0
        self._lock = threading.Lock()

    def wait(self, sleep: Callable[[float], None]) -> None:
        """Wait for a turn.

        Args:
            sleep: Waits so many seconds.
        """
        with self._lock:
            now = time.monotonic()
            turn = max(now, self._next)
            self._next = turn + self._interval
        sleep(turn - now)
        while (left := self._paused - time.monotonic()) > 0:  # asked for meanwhile
            sleep(left)

    def pause(self, seconds: float) -> None:
        """Have all requests of the source wait so long."""
        with self._lock:
            self._paused = max(self._paused, time.monotonic() + seconds)
            self._next = max(self._next, self._paused)


_limiters: dict[tuple[str, float], Limiter] = {}
_lock = threading.Lock()


def limiter_of(source: str, interval: float) -> Limiter:
    """Return the limiter of a source, which all its reads in this process share."""
    with _lock:
        return _limiters.setdefault((source, interval), Limiter(interval))


def asked_pause(headers: Mapping[str, str]) -> float | None:
    """Return how many seconds `Retry-After` asks to wait, in either of its forms, or None."""
    text = headers.get("retry-after", "").strip()
    if not text:
        return None
    try:
        return max(0.0, float(text))
    except ValueError:
        pass
    try:
        until = parsedate_to_datetime(text).timestamp()
    except (ValueError, TypeError):
        return None
    return max(0.0, until - _now(headers))


def used_up(headers: Mapping[str, str]) -> float | None:
    """Return how long to wait as the headers say that the rate is used up, or None if it is not."""
    for prefix in ("x-ratelimit-", "x-rate-limit-", "ratelimit-"):
        if headers.get(f"{prefix}remaining", "").strip() not in {"0", "0.0"}:
            continue
        try:
            reset = float(headers[f"{prefix}reset"])
        except (KeyError, ValueError):
            return None
        return max(0.0, reset - _now(headers) if reset > _LARGEST_SPAN else reset)
    return None


def _now(headers: Mapping[str, str]) -> float:
    """Return the server's time, where it says it: its clock may not be ours."""
    try:
        return parsedate_to_datetime(headers["date"]).timestamp()
    except (KeyError, ValueError, TypeError):
        return time.time()
