"""Columns that come as the database's own text, as Arrow.

All texts are cast at once; where that fails, value by value.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, merge_types
from etl_assets.model.values.arrays import array_of
from etl_assets.model.values.columns import is_before_year_one
from etl_assets.sources.sql.types import TIMES, ColumnReader

if TYPE_CHECKING:
    import pyarrow as pa

NO_NUMBERS = ("NaN", "Infinity", "-Infinity")


class TextReader(ColumnReader):
    """Turns the texts of one column into Arrow, batch by batch.

    It does so exactly as `ColumnReader` does with a driver's values.
    """

    def read_texts(self, texts: "pa.Array") -> "pa.Array":
        """Return texts (of bytes: binary) as the column's type.

        Raises:
            DataError: A value is not what the column's type says; names stream, field and value.
        """
        import pyarrow as pa

        kind, wanted = self._type.kind, self._type.arrow
        if kind == "json":
            return self._json_array(texts)
        if kind == "number" or (wanted is not None and pa.types.is_decimal(wanted)):
            return self._decimals_of(texts)
        if wanted is None:
            return self.read(texts.to_pylist())
        if texts.type == wanted:
            return texts
        try:
            found = self._cast(texts, wanted)
        except pa.ArrowInvalid:
            found = None
        if found is None or (
            kind in {"date", "timestamp", "instant"} and is_before_year_one(found)
        ):
            # A zero date, a time beyond a day: named, or kept as text, value by value.
            return self.read(texts.to_pylist())
        return found

    def _cast(self, texts: "pa.Array", wanted: "pa.DataType") -> "pa.Array":
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._type.kind in TIMES and pa.types.is_timestamp(wanted):
            return texts.cast(pa.timestamp("us")).cast(
                wanted
            )  # in the session's zone, which is UTC
        if pa.types.is_time(wanted):  # which Arrow reads only as part of a timestamp
            moments = pc.binary_join_element_wise(pa.scalar("1970-01-01"), texts, " ")
            return moments.cast(pa.timestamp("us")).cast(wanted)
        if pa.types.is_float32(wanted):
            return texts.cast(pa.float64()).cast(wanted)
        return texts.cast(wanted)

    def _decimals_of(self, texts: "pa.Array") -> "pa.Array":
        import pyarrow as pa
        import pyarrow.compute as pc

        if pc.any(pc.is_in(texts, array_of(NO_NUMBERS, pa.string()))).as_py():
            return self._decimals(
                [None if value is None else Decimal(value) for value in texts.to_pylist()]
            )
        wanted: Any = self._type.arrow
        if wanted is None:
            found = _narrowest(texts)
            wanted = found if self._so_far is None else merge_types(self._so_far, found)
            if pa.types.is_null(wanted):
                return pa.nulls(len(texts))
            self._so_far = wanted
        return texts if pa.types.is_string(wanted) else texts.cast(wanted)


def _narrowest(texts: "pa.Array") -> "pa.DataType":
    """Return the narrowest decimal that holds all these numbers.

    Text where there is none, null where they are none.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    if texts.null_count == len(texts):
        return pa.null()
    digits = pc.utf8_ltrim(texts, "-")
    length, point = pc.utf8_length(digits), pc.find_substring(digits, ".")
    has_point = pc.greater_equal(point, 0)
    whole = pc.max(pc.if_else(has_point, point, length)).as_py()
    scale = pc.max(pc.if_else(has_point, pc.subtract(pc.subtract(length, point), 1), 0)).as_py()
    return (
        pa.decimal128(whole + scale, scale) if whole + scale <= MAX_DECIMAL_DIGITS else pa.string()
    )
