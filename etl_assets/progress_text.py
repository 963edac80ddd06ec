"""How far a stream is, and the words in which that is shown."""

from dataclasses import dataclass

_THOUSAND = 1000
_MINUTE = 60


@dataclass
class StreamProgress:
    """How far one stream is.

    Args:
        name: The stream.
        rows: Read so far.
        bytes: Read so far.
        seconds: Since its beginning.
        state: `waiting`, `reading`, `done` or `failed`.
        confirmed: Records that are committed; known at its end.
        expected: About how many it will have, where somebody knows.
    """

    name: str
    rows: int = 0
    bytes: int = 0
    seconds: float = 0.0
    state: str = "waiting"
    confirmed: int = 0
    expected: int | None = None

    @property
    def about(self) -> int | None:
        """About how many rows it will have, as long as it is being read."""
        return self.expected if self.state == "reading" else None


def describe(
    name: str,
    rows: int,
    bytes_: int,
    seconds: float,
    detail: str = "",
    *,
    expected: int | None = None,
) -> str:
    """Return a line such as `flights: 336,776 of about 400,000 rows, 41.2 MB in 12 s`."""
    size = f", {size_text(bytes_)}" if bytes_ else ""
    rate = f" ({rows / seconds:,.0f} rows/s)" if seconds > 0 and rows else ""
    more = f", {detail}" if detail else ""
    count = count_text(rows, expected)
    unit = "row" if count == "1" else "rows"
    return f"{name}: {count} {unit}{size} in {duration_text(seconds)}{rate}{more}"


def counted(number: int, what: str) -> str:
    """Return a number of things, such as `1 row` or `20,002 rows`."""
    return f"{number:,} {what if number == 1 else f'{what}s'}"


def count_text(rows: int, expected: int | None) -> str:
    """Return a count such as `336,776 of about 400,000`, without an estimate that is exceeded."""
    if not expected or rows > expected:
        return f"{rows:,}"
    return f"{rows:,} of about {expected:,}"


def size_text(bytes_: int) -> str:
    """Return a size such as `41.2 MB`."""
    size = float(bytes_)
    for unit in ("B", "kB", "MB"):
        if size < _THOUSAND:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= _THOUSAND
    return f"{size:.1f} GB"


def duration_text(seconds: float) -> str:
    """Return a duration such as `2.1 s` or `3 min 5 s`."""
    if seconds < _MINUTE:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), _MINUTE)
    return f"{minutes} min {rest} s"
