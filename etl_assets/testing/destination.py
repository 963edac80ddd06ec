"""The conformance kit of destinations: values are written by a sync, read back and compared."""

import re
from collections.abc import Sequence
from typing import Any

import pytest

from etl_assets.exceptions import EtlAssetsError
from etl_assets.model.load import SyncResult
from etl_assets.model.stream import Stream
from etl_assets.testing.cases import FIELD, Case, CaseLoad, load_cases
from etl_assets.testing.compare import EXACT, paired, row_forms, same
from etl_assets.testing.failing import FaultChecks
from etl_assets.testing.kit import DestinationKit
from etl_assets.testing.rows import RowHookChecks

REFUSED = "refused"


class DestinationConformance(FaultChecks, RowHookChecks, DestinationKit):
    """The promises of a destination, as tests.

    A subclass, in a module of tests and with a name that begins with `Test`, gives a fixture
    `destination`: fresh and empty for each test. It may override `read_back` and `left_over`, and
        declare `known_gaps`.
    """

    def test_case(self, case: Case, request: pytest.FixtureRequest) -> None:
        """Load a case, read it back, compare it value by value."""
        self.needs(*case.strategies)
        self.tell(request, case, "fails")
        outcome, type_ = self._run(case)
        request.node.user_properties.pop()
        self.tell(request, case, outcome, type_)
        assert not self.left_over()

    def test_every_known_gap_is_known(self) -> None:
        """A gap is declared by the name of a case or of a check."""
        names = {case.name for folder in self.case_folders for case in load_cases(folder)}
        names |= {name.removeprefix("test_") for name in dir(self) if name.startswith("test_")}
        assert set(self.known_gaps) <= names
        assert all(self.known_gaps.values()), "a gap needs a reason"

    def _run(self, case: Case) -> tuple[str, str]:
        results = {}
        for name in case.streams:
            result = self._load_all(case, name)
            if result is not None:
                results[name] = result
        if not results:
            return REFUSED, ""
        forms: set[str] = set()
        for name in results:
            forms |= self._compare(case, name)
        types = {column.name: column.type for column in next(iter(results.values())).columns}
        refused = [REFUSED] if len(results) < len(case.streams) else []
        return ", ".join([*sorted(forms), *refused]), types.get(FIELD, types.get("value", ""))

    def _load_all(self, case: Case, name: str) -> SyncResult | None:
        """Load a stream; gives None if its last load was refused as it may be."""
        result = None
        for number, load in enumerate(case.loads, 1):
            stream = _stream(case, load, name)
            last = number == len(case.loads)
            before = self.snapshot(stream) if last and number > 1 else (None, [])
            try:
                result = self.give(
                    stream, *_batches(load), strategy=load.strategy, full_refresh=load.full_refresh
                )
            except EtlAssetsError as error:
                if not last:
                    pytest.fail(f"load {number} was refused: {error}")
                self._check_refusal(case, stream, error, before)
                return None
        assert case.accept != {"error"}, (
            f"it was loaded, and should have been refused: {_shown(self, stream)}"
        )
        return result

    def _check_refusal(
        self, case: Case, stream: Stream, error: EtlAssetsError, before: Any
    ) -> None:
        text = str(error)
        assert "error" in case.accept or self._beyond_limits(case), f"it was refused: {text}"
        shown = repr(stream.name)[1:-1]
        assert stream.name in text or shown in text, f"the error does not name the stream: {text}"
        for name in case.error_names:
            assert re.search(rf"\b{re.escape(name)}\b", text), (
                f"the error does not name {name!r}: {text}"
            )
        if self.destination.capabilities.keeps_state and len(case.streams) == 1:
            assert self.snapshot(stream) == before, (
                "the refused load has changed the table or its state"
            )

    def _beyond_limits(self, case: Case) -> bool:
        limit = self.destination.capabilities.max_columns
        return limit is not None and any(len(row) > limit for row in case.wanted)

    def _compare(self, case: Case, name: str) -> set[str]:
        """Compare the rows of a stream; gives the forms in which its values were found."""
        stream = _stream(case, case.loads[-1], name)
        found = self.rows(stream)
        forms: set[str] = set()
        kept: list[tuple[Any, Any]] = []
        for row, position in paired(found, case.wanted):
            wanted, sent = case.wanted[position], case.sent[position]
            by_field = row_forms(row, wanted, sent)
            for field, form in by_field.items():
                assert form in case.accept, (
                    f"{stream.name}.{field}: sent {_short(sent.get(field))}, "
                    f"found {_short(row.get(field))} ({form})"
                )
            forms |= {str(form) for field, form in by_field.items() if field != "id"}
            kept.append((row.get(FIELD), wanted.get(FIELD)))
        if case.recoverable:
            _check_told_apart(kept)
        return forms or {EXACT}


def _check_told_apart(pairs: Sequence[tuple[Any, Any]]) -> None:
    for number, (found, sent) in enumerate(pairs):
        for other_found, other_sent in pairs[number + 1 :]:
            if not same(sent, other_sent):
                alike = type(found) is type(other_found) and same(found, other_found)
                assert not alike, f"{sent!r} and {other_sent!r} are both {found!r} now"


def _stream(case: Case, load: CaseLoad, name: str) -> Stream:
    return Stream(
        name, schema=load.schema, primary_key=case.primary_key, replication_key=case.replication_key
    )


def _batches(load: CaseLoad) -> list[Any]:
    return [list(load.rows)] if load.rows else []


def _short(value: Any) -> str:
    text = repr(value[:100]) if isinstance(value, str | bytes) else f"a {type(value).__name__}"
    return text if isinstance(value, str | bytes | dict | list) else repr(value)


def _shown(kit: DestinationKit, stream: Stream) -> str:
    return repr(kit.rows(stream))[:300] if kit.reads_back else "it cannot be read back"
