"""What a program that has failed says of the cause, at the end of its log."""

import re
from collections.abc import Sequence

SHOWN_CAUSE = 300
_CRITICAL = re.compile(r"\b(?:CRITICAL|FATAL)\b[\s:|\]\-]*(?P<said>\S.*)")
_ERROR = re.compile(r"\bERROR\b[\s:|\]\-]*(?P<said>\S.*)")
_CALM = re.compile(r"\b(?:INFO|DEBUG|TRACE|WARN(?:ING)?)\b")
_RAISED = re.compile(
    r"(?P<said>(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Exit|Failure|Interrupt|Warning)(?::\s.*)?)"
)
_KEYED = re.compile(r"(?:message|msg)=")
"""What precedes the text in logs of the form `key=value`."""
_TRACE = re.compile(
    r"\s|Traceback \(most recent call last\)|During handling of the above|The above exception was"
)


def cause_in(log: str) -> str | None:
    """Return the cause that a log tells, in one line, or None.

    The cause is the exception at the end of a traceback, else the last line of the level CRITICAL
    or ERROR, else the last line that belongs neither to a traceback nor to a lower level.

    Args:
        log: The end of what a program has written to standard error.
    """
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    last_first = lines[::-1]
    cause = (
        _exception(last_first)
        or _of_level(_CRITICAL, last_first)
        or _of_level(_ERROR, last_first)
        or _plain_line(last_first)
    )
    if not cause:
        return None
    cause = _KEYED.sub("", cause.strip()).rstrip(".")
    if len(cause) <= SHOWN_CAUSE:
        return cause
    return f"{cause[: SHOWN_CAUSE - 1]}…"


def _exception(last_first: Sequence[str]) -> str | None:
    for line in last_first:
        found = _RAISED.fullmatch(_bare(line))
        if found:
            return found["said"]
    return None


def _of_level(level: re.Pattern[str], last_first: Sequence[str]) -> str | None:
    for line in last_first:
        found = level.search(line)
        if found and _tells(found["said"]):
            return found["said"]
    return None


def _plain_line(last_first: Sequence[str]) -> str | None:
    for line in last_first:
        if not _TRACE.match(line) and not _CALM.search(line):
            return line
    return None


def _bare(line: str) -> str:
    """Return a line without the level that a logger has put before each line of a traceback."""
    found = _CRITICAL.search(line) or _ERROR.search(line)
    if found is None or line[:1].isspace():
        return line
    return found["said"]


def _tells(text: str) -> bool:
    """Return whether a logged text tells more than that a traceback follows."""
    return not _TRACE.match(text) and not text.startswith("File ")
