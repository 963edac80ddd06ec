"""What a program that has failed says of the cause, at the end of its log."""

import re

SHOWN_CAUSE = 300
_CRITICAL = re.compile(r"\b(?:CRITICAL|FATAL)\b[\s:|\]\-]*(?P<said>\S.*)")
_ERROR = re.compile(r"\bERROR\b[\s:|\]\-]*(?P<said>\S.*)")
_CALM = re.compile(r"\b(?:INFO|DEBUG|TRACE|WARN(?:ING)?)\b")
_RAISED = re.compile(
    r"(?P<said>(?:[A-Za-z_]\w*\.)*[A-Za-z_]\w*(?:Error|Exception|Exit|Failure|Interrupt|Warning)(?::\s.*)?)"
)
_KEYED = re.compile(r"(?:message|msg)=")
"""Before the text, in logs of `key=value`."""
_TRACE = re.compile(
    r"\s|Traceback \(most recent call last\)|During handling of the above|The above exception was"
)


def cause_in(log: str) -> str | None:
    """Return the cause that a log tells, in one line; None where it tells none.

    That is the exception at the end of a traceback, else the last line of the level CRITICAL or
    ERROR, else the last line that is text of its own.

    Args:
        log: The end of what a program has written to standard error.
    """
    lines = [line.rstrip() for line in log.splitlines() if line.strip()]
    candidates = [
        next(
            (
                found["said"]
                for line in reversed(lines)
                if (found := _RAISED.fullmatch(_bare(line)))
            ),
            None,
        ),
        next(
            (
                found["said"]
                for line in reversed(lines)
                if (found := _CRITICAL.search(line)) and _tells(found)
            ),
            None,
        ),
        next(
            (
                found["said"]
                for line in reversed(lines)
                if (found := _ERROR.search(line)) and _tells(found)
            ),
            None,
        ),
        next(
            (line for line in reversed(lines) if not _TRACE.match(line) and not _CALM.search(line)),
            None,
        ),
    ]
    cause = next(filter(None, candidates), None)
    if cause is None:
        return None
    cause = _KEYED.sub("", cause.strip()).rstrip(".")
    return cause if len(cause) <= SHOWN_CAUSE else f"{cause[: SHOWN_CAUSE - 1]}…"


def _bare(line: str) -> str:
    """Return a line without the level that a logger has put before each line of a traceback."""
    found = _CRITICAL.search(line) or _ERROR.search(line)
    return found["said"] if found and not line[:1].isspace() else line


def _tells(found: "re.Match[str]") -> bool:
    return not _TRACE.match(found["said"]) and not found["said"].startswith("File ")
