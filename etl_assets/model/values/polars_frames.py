"""A DataFrame or Series of polars as Arrow, with types for which polars itself has no right one.

Objects would come out as addresses in memory; integers of 128 bits are of a format that only polars
reads.
"""

from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS
from etl_assets.model.values.columns import to_array
from etl_assets.model.values.dataframes import UNNAMED

if TYPE_CHECKING:
    import pyarrow as pa


_WIDE = frozenset({"Int128", "UInt128"})
_UNKNOWN = _WIDE | {"Object"}


def is_polars(records: Any) -> bool:
    """Return whether it is a DataFrame or Series of polars, which is not imported to find out."""
    libraries = {one.__module__.partition(".")[0] for one in type(records).__mro__}
    return "polars" in libraries and hasattr(records, "to_arrow")


def table_of_polars(frame: Any) -> "pa.Table":
    """Return a DataFrame, or a Series that has a name, as an Arrow table.

    Raises:
        DataError: A value cannot be stored; names the field, and `UNNAMED` as stream.
    """
    import pyarrow as pa

    if not hasattr(frame, "get_columns"):
        if not frame.name:
            raise DataError(
                "a Series without a name is no column.",
                stream=UNNAMED,
                hint="Give it one: .alias('...').",
            )
        frame = frame.to_frame()
    wrong = [one for one in frame.get_columns() if not _is_known(one.dtype)]
    if not wrong:
        return pa.table(frame)
    names = frame.columns
    kept = pa.table(frame.drop([one.name for one in wrong]))
    arrays = dict(zip(kept.column_names, kept.columns, strict=True))
    arrays.update({one.name: _array(one) for one in wrong})
    return pa.table({name: arrays[name] for name in names})


def _is_known(dtype: Any) -> bool:
    inner = [field.dtype for field in getattr(dtype, "fields", ())]
    if getattr(dtype, "inner", None) is not None:
        inner.append(dtype.inner)
    return str(dtype) not in _UNKNOWN and all(map(_is_known, inner))


def _array(series: Any) -> Any:
    import polars as pl

    if str(series.dtype) in _WIDE:
        try:
            return series.cast(pl.Decimal(MAX_DECIMAL_DIGITS, 0)).to_arrow()
        except pl.exceptions.InvalidOperationError:
            return series.cast(pl.String).to_arrow()  # one has more digits
    return to_array(series.to_list(), None, stream=UNNAMED, field=series.name)
