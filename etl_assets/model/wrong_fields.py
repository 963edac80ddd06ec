"""What is wrong in the fields of a stream, told at once: a failed read is looked at to its end.

Nothing is loaded of what is looked at. Of each wrong field one error is kept, the kinds of its
values and their number.
"""

from dataclasses import dataclass

from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.schema.type_overrides import WrongColumn, wrong_types
from etl_assets.model.stream import Stream
from etl_assets.model.values.columns import to_array

SECONDS = 60.0
"""How long a failed read goes on at most, for the wrong fields that it may still show."""
COUNTED = 1000
"""How many wrong values of a field are counted at most."""


@dataclass
class _Wrong:
    error: DataError
    kinds: set[type] | None
    count: int = 0

    @property
    def said(self) -> str:
        """How many values are wrong, beside the one that is shown."""
        more = self.count - 1
        if more <= 0:
            return ""
        at_least = "at least " if self.count >= COUNTED else ""
        return f" (and {at_least}{more:,} more)"


class WrongFields:
    """The wrong fields of one stream, over a read.

    Args:
        first: The error by which it has failed.
        stream: The stream's name.
    """

    def __init__(self, first: DataError, stream: str) -> None:
        self._first = first
        self._stream = stream
        self._fields: dict[str, _Wrong] = {}
        self._add(first)

    def look_at(self, batch: Batch, stream: Stream) -> None:
        """See what is wrong in some more records."""
        try:
            batch.to_arrow(stream)
        except DataError as error:
            self._add(error)

    def _add(self, error: DataError) -> None:
        for name, column in error.columns.items():
            known = self._fields.setdefault(name, _Wrong(column.error, column.kinds))
            if known.kinds is not None:
                known.kinds |= column.kinds or set()
            known.count += _count(column, COUNTED - known.count)
        error.columns = {}

    @property
    def error(self) -> DataError:
        """The first error, which tells of all wrong fields that were seen."""
        fields = self._fields
        errors = [wrong.error for wrong in fields.values()]
        kinds = {name: wrong.kinds for name, wrong in fields.items() if wrong.kinds is not None}
        said: dict[str | None, str] = {name: wrong.said for name, wrong in fields.items()}
        error = wrong_types(errors, kinds, self._stream, said)
        error.__cause__ = self._first.__cause__
        return error


def _count(column: WrongColumn, most: int) -> int:
    """Count the values that the type of a column does not take, up to so many."""
    count = 0
    for value in column.values:
        if count >= most:
            break
        try:
            to_array([value], column.declared, stream="", field="")
        except DataError:
            count += 1
    return count
