"""What all checks of a destination share: loading rows, reading them back, declared gaps."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from etl_assets.destinations.base import Destination
from etl_assets.engine.start import resolve_start
from etl_assets.engine.sync import sync
from etl_assets.model.bookmarks.tracker import plain
from etl_assets.model.load import Readable, SyncResult
from etl_assets.model.stored import Bookmark, Column, TableName
from etl_assets.model.stream import Stream
from etl_assets.strategies import WriteStrategy
from etl_assets.testing.cases import FOLDER, Case, load_cases
from etl_assets.testing.fakes import GivenRead

PROPERTY = "etl_assets"
"""Under which a test says what became of its case, for the report."""
SOURCE = "conformance"


class DestinationKit:
    """The ground on which the checks stand; `DestinationConformance` is the class to inherit."""

    known_gaps: ClassVar[Mapping[str, str]] = {}
    """What this destination cannot do: the name of a case, or of a check without `test_` -> why.

    A gap that is none
    fails."""

    case_folders: ClassVar[Sequence[Path]] = (FOLDER,)
    """Where the cases are; add a folder of your own."""

    title: ClassVar[str | None] = None
    """What the report calls the destination; its class by default."""

    destination: Any
    """The fixture of that name."""

    # To be overridden

    def read_back(self, table: TableName) -> list[dict[str, Any]]:
        """Read a table, by physical names; no row is left out."""
        rows: list[dict[str, Any]] = self.destination.read_table(table).to_pylist()
        return rows

    def left_over(self) -> Sequence[str]:
        """Name what ended syncs should not have left behind: staging tables, temporary files."""
        return ()

    # For checks

    @property
    def reads_back(self) -> bool:
        """Whether rows can be read back at all."""
        return (
            type(self).read_back is not DestinationKit.read_back
            or type(self.destination).read_table is not Destination.read_table
        )

    def needs(self, *strategies: str, state: bool = False, reading: bool = True) -> None:
        """Skip the test where the destination's capabilities do not promise what it is about."""
        can = self.destination.capabilities
        missing = [one for one in strategies if WriteStrategy(one) not in can.strategies]
        if missing:
            pytest.skip(f"its capabilities do not promise {', '.join(missing)}")
        if state and not can.keeps_state:
            pytest.skip("its capabilities do not promise to keep state")
        if reading and not self.reads_back:
            pytest.skip(
                "it cannot be read back: override read_table, or read_back on the test class"
            )

    def load(
        self,
        read: Readable,
        *,
        strategy: str = "append",
        full_refresh: bool = False,
        checkpoints: bool = False,
    ) -> SyncResult:
        """Sync a read; with `checkpoints` each of its bookmarks is committed."""
        start = resolve_start(read, self.destination, full_refresh=full_refresh)
        seconds = 0.0 if checkpoints else math.inf
        result = sync(
            read, self.destination, start=start, strategy=strategy, checkpoint_seconds=seconds
        )
        self._columns[read.stream.name] = result.columns
        return result

    def give(
        self, stream: Stream, *batches: Any, strategy: str = "append", full_refresh: bool = False
    ) -> SyncResult:
        """Sync these rows."""
        return self.load(GivenRead(stream, batches), strategy=strategy, full_refresh=full_refresh)

    def rows(self, stream: Stream) -> list[dict[str, Any]]:
        """Read a stream's table under the fields' own names, without this library's columns."""
        physical = {column.physical: column.name for column in self._columns_of(stream)}
        ours = set(self.destination.own_columns)
        found = self.read_back(self.destination.table_for(SOURCE, stream))
        return [
            {physical.get(name, name): value for name, value in row.items() if name not in ours}
            for row in found
        ]

    def _columns_of(self, stream: Stream) -> Sequence[Column]:
        return self._columns.get(stream.name, ())

    def bookmark(self, stream: Stream) -> Bookmark | None:
        """Return the stored bookmark as the source gave it, without the hashes of boundary rows."""
        state = self.destination.stored(SOURCE, stream).state
        return None if state is None else plain(state.bookmark)

    def snapshot(self, stream: Stream) -> tuple[str | None, list[dict[str, Any]]]:
        """Return the load id of the state row, and the rows; none where there is no state row."""
        state = self.destination.stored(SOURCE, stream).state
        return (None, []) if state is None else (state.load_id, self.rows(stream))

    # pytest

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Give each case a test."""
        if "case" in metafunc.fixturenames:
            cases = [case for folder in self.case_folders for case in load_cases(folder)]
            metafunc.parametrize("case", cases, ids=[case.name for case in cases])

    @pytest.fixture(autouse=True)
    def _kit(
        self,
        request: pytest.FixtureRequest,
        destination: Destination,
        tmp_path_factory: pytest.TempPathFactory,
        monkeypatch: pytest.MonkeyPatch,
    ) -> Iterator[None]:
        """Work in a folder of its own, mark declared gaps, and look at what is left behind."""
        self.destination = destination
        self._columns: dict[str, Sequence[Column]] = {}
        self.around = tmp_path_factory.mktemp("around")
        (self.around / "inside").mkdir()
        monkeypatch.chdir(self.around / "inside")
        name = name_of(request.node)
        gap = self.known_gaps.get(name)
        if gap is not None:
            request.applymarker(pytest.mark.xfail(reason=gap, strict=True))
        yield
        escaped = [path.name for path in self.around.iterdir() if path.name != "inside"]
        assert not escaped, f"files outside of the working directory: {escaped}"

    def tell(
        self, request: pytest.FixtureRequest, case: Case, outcome: str, type_: str = ""
    ) -> None:
        """Note for the report what became of a case."""
        told = {
            "destination": self.title or type(self.destination).__name__,
            "outcome": outcome,
            "type": type_,
        }
        told |= {
            "case": case.name,
            "group": case.group,
            "title": case.title,
            "gap": self.known_gaps.get(case.name, ""),
        }
        request.node.user_properties.append((PROPERTY, json.dumps(told)))


def name_of(item: Any) -> str:
    """Return the name by which a gap is declared: of the case, or of the check."""
    callspec = getattr(item, "callspec", None)
    case = callspec.params.get("case") if callspec is not None else None
    return case.name if isinstance(case, Case) else str(item.originalname).removeprefix("test_")
