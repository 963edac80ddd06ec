"""What `make test` takes of the kit for our own destinations; `make test-full` runs each combination."""

from collections.abc import Callable, Mapping
from itertools import cycle
from typing import Any

import pytest

from etl_assets.testing.points import ENGINE_POINTS, POINTS, STRATEGIES
from tests.testing.test_capabilities import TestRowHook
from tests.testing.test_conformance_examples import TestTinyDestination

IN_THE_TRANSACTION = ("altered", "rows", "state", "committed")
"""Here each strategy has statements of its own; at any other point a sync does the same whatever the strategy."""

_ELSEWHERE = [point for point in POINTS if point not in IN_THE_TRANSACTION]
ONE_STRATEGY = dict(zip(_ELSEWHERE, cycle(STRATEGIES), strict=False))
ONE_STRATEGY |= dict.fromkeys(ENGINE_POINTS, "replace")  # no other passes them

IN_TURN = ("TestFirebird", "TestShownInTheGuide", "TestSqlOnSQLite")
"""Destinations whose transactions are one base class: of each point in one, each takes another strategy."""

QUICK = (TestTinyDestination, TestRowHook)
"""Destinations that hold rows in memory: leaving anything out gains nothing."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave combinations that prove one thing again to `make test-full`."""
    for item in items:
        kind = getattr(item, "cls", None)
        if kind is None or issubclass(kind, QUICK) or not isinstance(item, pytest.Function):
            continue
        sampled = SAMPLES.get(item.originalname)
        if sampled is None:
            continue
        if not sampled(**item.callspec.params) or not _is_its_turn(kind, item.callspec.params):
            item.add_marker(pytest.mark.full)


def _is_its_turn(kind: type, params: Mapping[str, Any]) -> bool:
    point = params.get("point")
    if kind.__name__ not in IN_TURN or point not in IN_THE_TRANSACTION:
        return True
    turn = IN_TURN.index(kind.__name__) + IN_THE_TRANSACTION.index(point)
    return bool(params["strategy"] == STRATEGIES[turn % len(STRATEGIES)])


def _is_sample_of_points(strategy: str, point: str) -> bool:
    return point in IN_THE_TRANSACTION or ONE_STRATEGY[point] == strategy


def _is_sample_of_sources(strategy: str, after: int, error: type[BaseException]) -> bool:
    """Pairwise: each strategy after each number of batches, and with each error; each number with each error."""
    is_cancel = not issubclass(error, Exception)
    return is_cancel == bool((STRATEGIES.index(strategy) + (0, 2, 100).index(after)) % 2)


SAMPLES: Mapping[str, Callable[..., bool]] = {
    "test_fails_at_a_point": _is_sample_of_points,
    "test_source_fails": _is_sample_of_sources,
}
