"""The columns of a stream's CSV files where types are inferred: all files are looked at first.

So a column has one type throughout a load, and what makes it text is known before a text has become
a number. What was seen is remembered with the bookmark of an incremental stream: a later file is
held against the files before it.
"""

from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import shorten
from etl_assets.model.request import TableTypes
from etl_assets.model.stored import Bookmark
from etl_assets.sources.files.options import Inferred, Reading
from etl_assets.sources.files.text.csv import chunks
from etl_assets.sources.files.text.fixed_width import fixed_width_chunks
from etl_assets.sources.files.text.inference import Seen, first_to_differ, look
from etl_assets.sources.files.text.other_notation import Notations
from etl_assets.sources.files.text.tables import text_columns
from etl_assets.sources.files.text.typing import can_hold, type_for

if TYPE_CHECKING:
    import pyarrow as pa

REMEMBERED = "columns"
"""The word in a bookmark for what was seen."""
_CHUNKS = {"csv": chunks, "fixed_width": fixed_width_chunks}
TOLD = 20
"""Of so many columns that become text a run's log tells one by one."""


@dataclass(frozen=True)
class Turn:
    """The text with which a column became text.

    Args:
        kind: What the texts before it are.
        text: The text.
        place: Its file and line.
    """

    kind: str
    text: str
    place: str


class Columns:
    """What was seen of the columns of a stream's files.

    Args:
        bookmark: Where an earlier read ended, with what was seen until then.
        table: Where the rows go, if that is known.
    """

    def __init__(self, bookmark: Bookmark | None, table: TableTypes | None) -> None:
        known = (bookmark or {}).get(REMEMBERED)
        if not isinstance(known, Mapping):
            known = {}
        self._before = {str(name): Seen.of_json(seen) for name, seen in known.items()}
        self._seen = dict(self._before)
        self._table = table
        self._turns: dict[str, Turn] = {}
        self._notations = Notations()
        self.remark: str | None = None
        """What people should know of columns that became text; known once they are settled."""

    def look_at(self, reading: Reading) -> None:
        """Look at all texts of a file; other formats have types of their own.

        Raises:
            DataError: The file is not what it should be; names file and line.
        """
        read = _CHUNKS.get(reading.format)
        if read is None:
            return
        for columns, written, lines in text_columns(read, reading, self._is_open):
            for name, texts in columns.items():
                before = self._seen.get(name, Seen())
                seen = before.joined(look(texts))
                if seen.kind == "text":
                    self._notations.look_at(name, before, written[name], reading.options)
                if seen.kind == "text" and before.kind not in {None, "text"}:
                    row = first_to_differ(before, texts)
                    place = f"{reading.file}, line {lines[row]}"
                    self._turns[name] = Turn(before.kind, written[name][row].as_py(), place)
                self._seen[name] = seen

    def _is_open(self, name: str) -> bool:
        """Return whether the texts of a column are still to be looked at."""
        return self._seen.get(name, Seen()).kind != "text" or self._notations.is_open(name)

    def settled(self) -> Inferred:
        """Return the types of the columns."""
        import pyarrow as pa

        types: dict[str, pa.DataType] = {}
        held: set[str] = set()
        remarks: list[str] = []
        with ExitStack() as stack:
            table = None if self._table is None else stack.enter_context(self._table)
            for name, seen in self._seen.items():
                there = None if table is None else table.type_of(name)
                if table is not None and table.is_fixed and there is not None and can_hold(there):
                    types[name] = there
                    held.add(name)
                    continue
                if table is not None and there is not None and seen.kind != "text":
                    takes_any_type = pa.types.is_string(there) and table.is_open(name)
                    there = None if takes_any_type else there
                types[name] = type_for(seen, name, there, table)
                stays = there is not None and table is not None and not table.is_replaced
                remarks += self._told(name, seen, types[name], there if stays else None)
                notation = self._notations.remark(name, self._seen)
                is_new_text = not stays and pa.types.is_string(types[name])
                if notation and is_new_text:
                    remarks.append(notation)
            signs_zeros = table is None or table.signs_zeros
        more = [f"and so on: {len(remarks) - TOLD:,} more"] if len(remarks) > TOLD else []
        self.remark = "; ".join([*remarks[:TOLD], *more]) or None
        return Inferred(types, frozenset(held), signs_zeros)

    def remembered(self, bookmark: Mapping[str, Any]) -> dict[str, Any]:
        """Return a bookmark with what was seen."""
        seen = {name: one.to_json() for name, one in self._seen.items() if one.kind is not None}
        return {**bookmark, REMEMBERED: seen} if seen else dict(bookmark)

    def _told(
        self, name: str, seen: Seen, type_: "pa.DataType", there: "pa.DataType | None"
    ) -> Iterable[str]:
        """Add the remark that a column is text now and was something else before."""
        import pyarrow as pa

        before = self._before.get(name, Seen()).kind
        loaded = (there is not None and can_hold(there)) or before not in {None, "text"}
        turn = self._turns.get(name)
        if not pa.types.is_string(type_) or (turn is None and not loaded):
            return
        if turn is not None:
            why = (
                f"{shorten(turn.text)} ({turn.place}) is not written as the {turn.kind}s before it"
            )
        else:
            fits_not = before if there is None else there
            why = f"what is in it ({seen.kind}) does not fit {fits_not} without loss"
        rows = "; the rows that were loaded before have the text of their values" if loaded else ""
        yield (
            f"the column {name!r} is text: {why}. All rows of this load have the text of their "
            f"files{rows}"
        )
