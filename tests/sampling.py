"""Pairwise samples: of a test for each pair of a case and a place, `make test` takes each of both, not each pair."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import pytest

MARK = "sampled"


def leave_the_rest_to_full(items: Iterable[pytest.Item]) -> None:
    """Mark what is not in the sample of a test that says `@pytest.mark.sampled("kind")`."""
    tests: dict[str, list[pytest.Function]] = defaultdict(list)
    for item in items:
        if isinstance(item, pytest.Function) and item.get_closest_marker(MARK) is not None:
            tests[item.nodeid.partition("[")[0]].append(item)
    for combinations in tests.values():
        for item in _again(combinations):
            item.add_marker(pytest.mark.full)


def _again(combinations: Sequence[pytest.Function]) -> Iterable[pytest.Function]:
    """Yield all but each case with the first place, and with one of the other places in turn."""
    mark = combinations[0].get_closest_marker(MARK)
    assert mark is not None
    (by,) = mark.args
    places: list[Any] = list(dict.fromkeys(item.callspec.params[by] for item in combinations))
    cases: dict[tuple[int, ...], int] = {}
    for item in combinations:
        # The values of a parameter are the same objects in each combination.
        case = tuple(id(value) for name, value in item.callspec.params.items() if name != by)
        turn = cases.setdefault(case, len(cases)) % max(len(places) - 1, 1) + 1
        if places.index(item.callspec.params[by]) not in {0, turn}:
            yield item
