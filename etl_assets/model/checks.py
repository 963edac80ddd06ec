"""What a table is checked for, and what was found: all that the engine knows of checks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

Severity = Literal["ERROR", "WARN"]


class LoadCheck(Protocol):
    """A check of what a load has made of its table; `etl_assets.checks` has those there are."""

    @property
    def name(self) -> str:
        """What it is called, unique among those of a stream."""
        ...

    @property
    def severity(self) -> Severity:
        """How much it means that it fails."""
        ...

    @property
    def gate(self) -> bool:
        """Whether the load is rolled back if it fails."""
        ...


@dataclass(frozen=True)
class CheckResult:
    """What a check has found.

    Args:
        name: Of the check.
        passed: Whether all is well.
        description: A sentence that says why, or why not.
        severity: How much it means; a check that could not be evaluated is an error, unless only
            a load can tell.
        evaluated: Whether it could be evaluated.
        failing_rows: How many rows fail it, where it is about rows.
        failing_keys: The keys of some of them, shortened and masked.
        query: What finds them, as SQL.
        figures: What else was found, by name.
    """

    name: str
    passed: bool
    description: str
    severity: Severity = "ERROR"
    evaluated: bool = True
    failing_rows: int | None = None
    failing_keys: Sequence[Mapping[str, Any]] = ()
    query: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
