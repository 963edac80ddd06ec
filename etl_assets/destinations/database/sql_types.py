"""Which types an engine has for Arrow's, as one table says. What is not in it is kept as text."""

import re
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, ClassVar

from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, json_type, logical

if TYPE_CHECKING:
    import pyarrow as pa

_DECIMAL = re.compile(r"(?:DECIMAL|NUMERIC)\((\d+),\s*(\d+)\)")
STANDARD_NAMES: Mapping[str, str] = {
    "bool": "BOOLEAN",
    "int64": "BIGINT",
    "double": "DOUBLE PRECISION",
    "date32[day]": "DATE",
}
"""What most engines call the types that hold these exactly, for `SqlTypes.names`."""
WHOLE_UINT64 = 20
"""Digits of a decimal that holds every unsigned integer of 64 bits."""


class SqlTypes:
    """The types of an engine, derived from `names`.

    A subclass that knows more overrides the four methods.
    """

    names: ClassVar[Mapping[str, str]]
    """The engine's name of each Arrow type that it holds exactly, by Arrow's own name.

    All others are text.

    `string`, `int64` and `double` have to be there. A type whose values the engine would round,
    such as `timestamp[us]` where it keeps milliseconds, must not be.
    """

    def decimal(self, precision: int, scale: int) -> str | None:
        """Return the engine's name of a decimal type, or None if it has none so wide."""
        is_narrow_enough = 0 <= scale <= precision <= MAX_DECIMAL_DIGITS
        return f"DECIMAL({precision},{scale})" if is_narrow_enough else None

    def stored_type(self, type_: "pa.DataType") -> "pa.DataType":
        """Return the type, of those the engine has, in which values of a type are kept exactly."""
        import pyarrow as pa

        type_ = logical(type_)
        if str(type_) in self.names:
            return type_
        if pa.types.is_uint64(type_):
            return self._stored_decimal(pa.decimal128(WHOLE_UINT64, 0))
        if pa.types.is_integer(type_):
            return pa.int64()
        if pa.types.is_floating(type_):
            return pa.float64()
        return self._stored_decimal(type_) if pa.types.is_decimal(type_) else pa.string()

    def _stored_decimal(self, type_: "pa.DataType") -> "pa.DataType":
        import pyarrow as pa

        name = self.decimal(type_.precision, type_.scale)
        if name is None:
            return pa.string()
        # A type that reads back as another one (19 digits are an integer's) is made one wider.
        reads_back = pa.types.is_decimal(self.arrow_type(name))
        return type_ if reads_back else pa.decimal128(type_.precision + 1, type_.scale)

    def type_name(self, type_: "pa.DataType") -> str:
        """Return the engine's name of the type that holds an Arrow type exactly."""
        import pyarrow as pa

        type_ = self.stored_type(type_)
        if str(type_) not in self.names and pa.types.is_decimal(type_):
            return str(self.decimal(type_.precision, type_.scale))
        return self.names[str(type_)]

    def arrow_type(self, name: str) -> "pa.DataType":
        """Return the Arrow type of a name from `type_names`; text if it is not in `names`."""
        import pyarrow as pa

        number = _DECIMAL.fullmatch(name)
        if number and int(number[1]) <= MAX_DECIMAL_DIGITS:
            return pa.decimal128(int(number[1]), int(number[2]))
        arrow_names = {there: arrow for arrow, there in self.names.items()}
        return _by_arrow_name().get(arrow_names.get(name, ""), pa.string())


@lru_cache(1)
def _by_arrow_name() -> "Mapping[str, pa.DataType]":
    """Return the types that `names` may name, by Arrow's name."""
    import pyarrow as pa

    signed = [pa.int8(), pa.int16(), pa.int32(), pa.int64()]
    unsigned = [pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64()]
    times = [pa.date32(), pa.time64("us"), pa.time64("ns"), pa.duration("us")]
    for unit in ("us", "ns"):
        times += [pa.timestamp(unit), pa.timestamp(unit, "UTC")]
    others = [pa.bool_(), pa.float32(), pa.float64(), pa.string(), pa.binary()]
    extensions = [pa.uuid(), json_type()]
    types = [*others, *signed, *unsigned, *times, *extensions]
    return {str(type_): type_ for type_ in types}
