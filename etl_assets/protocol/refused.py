"""Values that a reader cannot give: its batch goes on without them, and a schema contract says what becomes of that.

A reader does not raise for a single value. It leaves NULL in its place and says so with the batch (`Batch.refused`).
Nothing of such a batch can be had until a contract has taken note: all ways to its records raise the value's error.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from etl_assets.exceptions import DataError

HINT = (
    'Correct it at the source; or leave such values out with schema_contract="discard_value", such rows with '
    '"discard_row".'
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
        return DataError(self.message, stream=self.stream, field=self.field, value=self.value, hint=self.hint or HINT)


def refused_by(convert: Callable[[list[Any]], Any], values: list[Any]) -> dict[int, DataError]:
    """Return why values cannot be converted, by their places; each of them cannot be by itself.

    They are looked for by halves, so it takes little where they are few.
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


def without(values: list[Any], places: Collection[int]) -> list[Any]:
    """Return values with None in these places."""
    return [None if place in places else value for place, value in enumerate(values)] if places else values
