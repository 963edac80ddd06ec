"""Values that a reader cannot give: its batch goes on without them, as a schema contract says.

A reader does not raise for a single value. It leaves NULL in its place and says so with the batch
(`Batch.refused`). Nothing of such a batch can be had until a contract has taken note: all ways to
its records raise the value's error. So a reader need not know the contract, and whoever knows of
none has the error.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from etl_assets.exceptions import DataError

HINT = (
    "Correct it at the source; or leave such values out with "
    'schema_contract="discard_value", such rows with "discard_row".'
)


@dataclass(frozen=True)
class Refusal:
    """One value that is no value of its column's type, or none at all.

    Args:
        stream: Of which stream.
        field: Of which field.
        message: Where it stands, and what is wrong with it.
        value: As it stands in the source.
        hint: What the reader can do besides leaving it out.
    """

    stream: str
    field: str
    message: str
    value: Any
    hint: str | None = None

    def error(self) -> DataError:
        """Return the error that it is where no contract leaves it out."""
        return DataError(
            self.message,
            stream=self.stream,
            field=self.field,
            value=self.value,
            hint=self.hint or HINT,
        )


class Refusals:
    """What was refused of the batch that is being made, by its rows.

    A reader that makes a column at a time calls `read`; one that knows more of a value's place
    calls `add`.
    """

    def __init__(self) -> None:
        self._found: dict[int, list[Refusal]] = {}

    def add(self, row: int, error: DataError, value: Any) -> None:
        """Note a value of the batch, in whose place NULL stands.

        Args:
            row: Of the batch, from 0.
            error: Why; it names stream and field.
            value: As the source has it.
        """
        if error.field is None or error.stream is None:
            raise error  # of more than a value
        self._found.setdefault(row, []).append(
            Refusal(error.stream, error.field, error.reason, value, error.hint)
        )

    def read(
        self,
        convert: Callable[[Any], Any],
        values: Any,
        located: Callable[[int, DataError], DataError] = lambda _, error: error,
    ) -> Any:
        """Convert a column of the batch, a list or an Arrow array.

        Values that cannot be converted become NULL, and are noted.

        Args:
            convert: The conversion of a column, or of a part of it.
            values: The column.
            located: Gives the error of a row's value with what is known of its place.

        Raises:
            DataError: Each value could be converted by itself, but not all of them together.
        """
        try:
            return convert(values)
        except DataError:
            bad = refused_by(convert, values)
            if not bad:
                raise
        for row, error in bad.items():
            self.add(row, located(row, error), _as_it_stands(values, row, error))
        return convert(without(values, bad))

    def taken(self) -> dict[int, list[Refusal]]:
        """Return what was refused of this batch, in the order of its rows, and begin the next."""
        taken, self._found = dict(sorted(self._found.items())), {}
        return taken


def _as_it_stands(values: Any, row: int, error: DataError) -> Any:
    if isinstance(values, list):
        return values[row]
    try:
        value = values[row].as_py()
    except UnicodeDecodeError:
        return _bytes_of(values[row], error)
    except (ValueError, ArithmeticError):  # a moment that Python has not
        value = None
    if isinstance(value, str | bytes | list | dict):
        return value
    # What Arrow has of any other type is the wire's form; the error shows it for people.
    return (error.value or "").strip("'")


def _bytes_of(scalar: Any, error: DataError) -> Any:
    try:
        return bytes(scalar.as_buffer())
    except AttributeError:  # a text inside of it
        return error.value


def refused_by(convert: Callable[[Any], Any], values: Any) -> dict[int, DataError]:
    """Return which values of a list or an Arrow array cannot be converted, by place, and why.

    Each of them cannot be converted by itself. They are looked for by halves, which takes little
    where they are few.
    """
    found: dict[int, DataError] = {}
    spans = [(0, len(values))]
    while spans:
        start, stop = spans.pop()
        try:
            convert(values[start:stop])
        except DataError as error:
            if stop - start == 1:
                found[start] = error
            else:
                middle = (start + stop) // 2
                spans += [(middle, stop), (start, middle)]
    return found


def without(values: Any, places: Collection[int]) -> Any:
    """Return a list or an Arrow array with NULL in these places."""
    if not places:
        return values
    if isinstance(values, list):
        return [None if place in places else value for place, value in enumerate(values)]
    import pyarrow as pa
    import pyarrow.compute as pc

    mask = pa.array([place in places for place in range(len(values))], pa.bool_())
    try:
        return pc.if_else(mask, pa.scalar(None, values.type), values)
    except pa.ArrowException:  # it does not know all types
        kept = [None if place in places else place for place in range(len(values))]
        return values.take(pa.array(kept, pa.int64()))
