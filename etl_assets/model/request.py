"""What a read is asked for beside its bookmark: what the destination takes, has and knows.

A source may make use of it, and need not: every read gives the same records without it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, Self

from etl_assets.model.encoded import Format
from etl_assets.model.partitions import Partitions

if TYPE_CHECKING:
    import pyarrow as pa


class TableTypes(Protocol):
    """What types a stream's table has, for a source that may choose among several.

    Entering the context looks at the table.

    Attributes:
        is_fixed: The stream's schema contract lets no type change, so that what does not fit is
            left out, or an error.
        is_replaced: The rows that are there do not stay.
    """

    is_fixed: bool
    is_replaced: bool

    def __enter__(self) -> Self:
        """Look at the table as it is now."""
        ...

    def __exit__(self, *raised: object) -> None:
        """End the look."""
        ...

    @property
    def signs_zeros(self) -> bool:
        """Whether the destination keeps -0.0."""
        ...

    def type_of(self, field: str) -> "pa.DataType | None":
        """Return the type of a field's column; None where there is none."""
        ...

    def is_open(self, field: str) -> bool:
        """Return whether a field's column of text has no values yet, and takes their type."""
        ...

    def stored(self, type_: "pa.DataType") -> "pa.DataType":
        """Return the type in which the destination keeps the values of one."""
        ...

    def integers_fit(self, field: str) -> bool:
        """Return whether all integers of a field's column are exact as doubles."""
        ...


def _always() -> bool:
    return True


@dataclass(frozen=True)
class ReadRequest:
    """What one stream is asked for beside its bookmark.

    Args:
        encoded_as: The format in which the destination takes rows as they are; None where something
            has to look into them.
        known_fingerprint: What the last batch of the read that reached the bookmark had as its
            fingerprint, or "" for nothing; a read that finds it still holds gives no records. None
            where nobody asks for one.
        table: What types the stream's table has, where that is known.
        partitions: The partitions that the read is to give whole, and nothing else; None for rows
            wherever they belong.
        is_wanted: Tells whether somebody still takes the records; not once the stream has failed.
    """

    encoded_as: Format | None = None
    known_fingerprint: str | None = None
    table: TableTypes | None = None
    partitions: Partitions | None = None
    is_wanted: Callable[[], bool] = _always


NO_REQUEST = ReadRequest()
"""Of a read that nobody has asked for anything."""
