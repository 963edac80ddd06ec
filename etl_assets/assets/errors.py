"""The one place where an error of ours becomes what Dagster shows and retries.

What leaves is redacted.
"""

import traceback
from collections.abc import Iterable, Iterator, Mapping
from types import TracebackType
from typing import Self

import dagster as dg

from etl_assets.assets.markdown import as_markdown, fenced
from etl_assets.connectors.runs import in_run
from etl_assets.exceptions import EtlAssetsError, RateLimitedError
from etl_assets.redaction import redact

PREFIX = "etl_assets/"
TRACEBACK = f"{PREFIX}traceback"
REASONS = f"{PREFIX}reasons"
"""Why each stream failed that shares its step with others, by the key of its asset."""
MAX_FRAMES = 30
"""Of each error in a chain, the innermost ones."""
MAX_TRACEBACKS = 10
"""Of the streams that fail in one step; their messages are all told."""


class Edge:
    """Turns an error that leaves its block into a `dagster.Failure` (or a `RetryRequested`).

    What goes on inside belongs to a run: no connector is installed there.

    Dagster's own errors pass, and so does everything that is no `Exception`: a cancelled run is a
    `BaseException`.

    Args:
        policy: The retry policy of the step, if it has one.
        attempts: How many times the step was tried before.
    """

    def __init__(self, policy: dg.RetryPolicy | None = None, attempts: int = 0) -> None:
        self._policy = policy
        self._attempts = attempts
        self._run = in_run()

    def __enter__(self) -> Self:
        self._run.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        del kind, trace
        self._run.__exit__(None, None, None)
        if not isinstance(error, Exception) or isinstance(
            error, dg.DagsterError | dg.Failure | dg.RetryRequested
        ):
            return
        # `from None`: Dagster writes the whole chain of causes into its event log, and a driver's
        # error may hold secrets and rows. The failure's metadata says where it came from.
        raise self._for_dagster(error) from None

    def _for_dagster(self, error: Exception) -> dg.Failure | dg.RetryRequested:
        asked = _asked_by([error], self._attempts)
        if asked is not None:
            return asked
        remaining = self._policy is not None and self._attempts < self._policy.max_retries
        if (
            isinstance(error, RateLimitedError)
            and error.retry_after is not None
            and self._policy
            and remaining
        ):
            return dg.RetryRequested(
                max_retries=self._policy.max_retries, seconds_to_wait=error.retry_after
            )
        return as_failure(error)


def _asked_by(errors: Iterable[Exception], attempts: int) -> dg.RetryRequested | None:
    """Return the retry that a source or destination has asked for itself, in Dagster's words.

    None if none has, or if it was tried as often as that already.

    Args:
        errors: Of the streams of a step.
        attempts: How many times the step was tried before.
    """
    found = [one for error in errors for one in _chain(error) if isinstance(one, dg.RetryRequested)]
    most = max((one.max_retries for one in found), default=0)
    if attempts >= most:
        return None
    pauses = [one.seconds_to_wait for one in found if one.seconds_to_wait is not None]
    return dg.RetryRequested(max_retries=most, seconds_to_wait=max(pauses, default=None))


def as_failure(error: Exception) -> dg.Failure:
    """Return an error as a failure, with its hint, and whether trying again may help.

    A `dagster.Failure` that a source or destination has raised says itself whether it is retried.

    An error that is not ours comes from a custom source or destination; whether it may pass, nobody
    knows, so it is retried where a retry policy asks for that.
    """
    metadata: dict[str, dg.MetadataValue] = {
        f"{PREFIX}error": dg.MetadataValue.text(type(error).__name__)
    }
    if isinstance(error, EtlAssetsError):
        description = error.message
        if error.hint:
            description = f"{description}\n{error.hint}"
            metadata[f"{PREFIX}hint"] = dg.MetadataValue.text(redact(error.hint))
        if error.stream:
            metadata[f"{PREFIX}stream"] = dg.MetadataValue.text(redact(error.stream))
        allow_retries = error.retryable
    else:
        description, allow_retries = f"{type(error).__name__}: {error}", True
    own = next((one for one in _chain(error) if isinstance(one, dg.Failure)), None)
    if own is not None:
        allow_retries = own.allow_retries
    metadata[TRACEBACK] = dg.MetadataValue.md(fenced(redact(trace_of(error))))
    return dg.Failure(redact(description), metadata=metadata, allow_retries=allow_retries)


def failure_of_many(
    errors: Mapping[str, Exception], streams: int, policy: dg.RetryPolicy | None, attempts: int
) -> dg.Failure | dg.RetryRequested:
    """Return the one failure of a step that many streams share.

    Tried again where that may help one of them.

    Args:
        errors: By the key of the asset, for people.
        streams: How many streams the step had.
        policy: The retry policy of the step, if it has one.
        attempts: How many times the step was tried before.
    """
    asked_for = _asked_by(errors.values(), attempts)
    if asked_for is not None:
        return asked_for
    failures = {name: as_failure(error) for name, error in errors.items()}
    pauses = [one.retry_after for one in errors.values() if isinstance(one, RateLimitedError)]
    asked = [pause for pause in pauses if pause is not None]
    if asked and policy is not None and attempts < policy.max_retries:
        return dg.RetryRequested(max_retries=policy.max_retries, seconds_to_wait=max(asked))
    told = "\n".join(f"{name}: {one.description}" for name, one in failures.items())
    metadata: dict[str, dg.MetadataValue] = {
        f"{PREFIX}failed": dg.MetadataValue.json(list(failures)),
        REASONS: dg.MetadataValue.json({name: one.description for name, one in failures.items()}),
        **next(iter(failures.values())).metadata,
        TRACEBACK: dg.MetadataValue.md(_tracebacks(failures)),
    }
    return dg.Failure(
        f"{len(failures)} of {streams} streams failed: {', '.join(failures)}\n{told}",
        metadata=metadata,
        allow_retries=any(one.allow_retries for one in failures.values()),
    )


def _tracebacks(failures: Mapping[str, dg.Failure]) -> str:
    """Return Markdown with where each stream has failed, under its name."""
    shown = [
        f"{as_markdown(name)}\n\n{one.metadata[TRACEBACK].value}"
        for name, one in list(failures.items())[:MAX_TRACEBACKS]
    ]
    more = len(failures) - len(shown)
    if more > 0:
        shown.append(f"and {more} more")
    return "\n\n".join(shown)


def trace_of(error: BaseException) -> str:
    """Return where an error and its causes were raised, as classes and frames.

    The messages of the causes are left out because a driver puts values of rows into them. What
    matters is in our own error's message.
    """
    return "\n".join(
        f"{type(one).__module__}.{type(one).__qualname__}\n{''.join(_frames(one))}"
        for one in _chain(error)
    )


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__
        )


def _frames(error: BaseException) -> list[str]:
    return traceback.format_list(traceback.extract_tb(error.__traceback__))[-MAX_FRAMES:]
