"""Checks of what an exception at any fault point leaves behind."""

from collections import Counter
from typing import ClassVar

import pytest

from etl_assets.faults import FaultError
from etl_assets.testing.points import (
    POINTS,
    POSITIONS,
    PROJECT_POINTS,
    SOURCE_POINTS,
    STRATEGIES,
    passing,
)
from etl_assets.testing.site import armed
from etl_assets.testing.state import FIRST, THEN, StateChecks, expected


class FaultChecks(StateChecks):
    """Tests that fail a sync at each of its fault points.

    They are skipped if the destination keeps no state, or a sync does not pass the point.
    """

    _passed: ClassVar[dict[tuple[type, type, str], Counter[str]]] = {}

    @pytest.mark.parametrize(
        "point", [one for one in POINTS if one not in {*SOURCE_POINTS, *PROJECT_POINTS}]
    )
    @pytest.mark.parametrize("strategy", STRATEGIES)
    def test_fails_at_a_point(self, strategy: str, point: str) -> None:
        """After an exception at any passing of a point, nothing is lost, doubled or ahead."""
        self.needs(strategy, state=True)
        passed = self._count_passed(strategy)[point]
        if not passed:
            pytest.skip(f"its syncs do not pass {point}")
        for nth in sorted({passing(position, passed) for position in POSITIONS}):
            self.suffix = f"_{nth}"
            self._sync(strategy, FIRST)
            with armed(f"{point}:{nth}:raise"), pytest.raises(FaultError, match=point):
                self._sync(strategy, THEN)
            self._check_whole(strategy)
            assert not self.left_over(), (
                f"something is left of the sync that failed at passing {nth} of {passed}"
            )
            self._sync(strategy, THEN)
            assert self._numbers(strategy) == expected(strategy, THEN)
        again = self._sync(strategy, THEN)
        assert self._numbers(strategy) == expected(strategy, THEN)
        assert strategy == "replace" or again.records_loaded == 0, (
            "the sync after the recovery has changed rows"
        )

    def _count_passed(self, strategy: str) -> Counter[str]:
        """Count how often the second sync of a stream passes each point; once for all tests."""
        key = (type(self), type(self.destination), strategy)
        if key not in self._passed:
            self._sync(strategy, FIRST)
            with armed("none:1:raise") as self._passed[key]:
                self._sync(strategy, THEN)
        return self._passed[key]
