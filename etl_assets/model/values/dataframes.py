"""A pandas DataFrame as Arrow: what each of its dtypes stands for, which Arrow alone may not say.

Arrow gives the number of a period in place of the period, and stops at others with an error that
names no column. What pandas calls missing (NaN, NaT, NA, None: `isna`) is NULL. A named index is
data, and so are labels; a numbering is not.
"""

from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.values.arrow_values import with_closed_end
from etl_assets.model.values.columns import to_array

if TYPE_CHECKING:
    import pyarrow as pa

UNNAMED = "DataFrame"
"""What errors call the stream of a frame that is not known to be of one yet."""
_BY_VALUE = "OGc"
"""Kinds of numpy's dtypes whose values are looked at singly: objects, long and complex numbers."""


def is_pandas(records: Any) -> bool:
    """Return whether it is a DataFrame or Series of pandas, which is not imported to find out."""
    libraries = {one.__module__.partition(".")[0] for one in type(records).__mro__}
    is_of_pandas = "pandas" in libraries
    return is_of_pandas and hasattr(records, "to_numpy") and hasattr(records, "iloc")


def table_of(frame: Any) -> "pa.Table":
    """Return a DataFrame, or a Series that has a name, as an Arrow table.

    Where its index is data, that comes first.

    Raises:
        DataError: A value cannot be stored, or two columns have one name; names the field, and
            `UNNAMED` as stream.
    """
    import pyarrow as pa

    if not hasattr(frame, "columns"):
        if frame.name is None:
            raise DataError(
                "a Series without a name is no column.",
                stream=UNNAMED,
                hint="Give it one: .rename('...').",
            )
        frame = frame.to_frame()
    columns = [(str(name), frame.iloc[:, at]) for at, name in enumerate(frame.columns)]
    columns = [*_index(frame, [name for name, _ in columns]), *columns]
    _refuse_equal_names([name for name, _ in columns])
    if not columns:
        return _without_columns(len(frame))
    return pa.table({name: _array(series, name) for name, series in columns})


def _without_columns(rows: int) -> "pa.Table":
    import pyarrow as pa

    # A table without columns has no length of its own: an empty struct array gives it one.
    empty = pa.array([{}] * rows, pa.struct([]))
    return pa.Table.from_batches([pa.RecordBatch.from_struct_array(empty)], pa.schema([]))


def _refuse_equal_names(names: list[str]) -> None:
    twice = next((name for at, name in enumerate(names) if name in names[:at]), None)
    if twice is not None:
        raise DataError(
            "two columns have this name (all names are texts in a table).",
            stream=UNNAMED,
            field=twice,
            value=names,
            hint="Rename one of them.",
        )


def _index(frame: Any, columns: list[str]) -> list[tuple[str, Any]]:
    """Return the levels of the index that are data, by the names that `reset_index` gives them.

    Raises:
        DataError: A level has the name of a column.
    """
    import pandas as pd

    index = frame.index
    names = list(index.names)
    is_numbering = isinstance(index, pd.RangeIndex) or pd.api.types.is_integer_dtype(index.dtype)
    if names == [None] and is_numbering:
        # Rows as they were numbered, perhaps before some were left out or put into another order.
        return []
    unnamed = [f"level_{at}" for at in range(len(names))] if len(names) > 1 else ["index"]
    found = []
    for at, name in enumerate(names):
        told = unnamed[at] if name is None else str(name)
        if told in columns:
            raise DataError(
                "the DataFrame has a column of this name, and its index has it, too.",
                stream=UNNAMED,
                field=told,
                value=names,
                hint="Rename the index (df.rename_axis('...')), or leave it out "
                "(df.reset_index(drop=True)).",
            )
        found.append((told, index.get_level_values(at).to_series(index=range(len(index)))))
    return found


def _array(series: Any, name: str) -> Any:
    """Return a column, whatever its dtype is.

    Raises:
        DataError: It, or one of its values, has no form in which it could be stored.
    """
    import pyarrow as pa

    dtype = series.dtype
    kind = type(dtype).__name__
    if kind == "SparseDtype":
        return _array(series.sparse.to_dense(), name)
    if kind == "PeriodDtype":
        pairs = zip(series, series.isna(), strict=True)
        texts = [None if is_missing else str(period) for period, is_missing in pairs]
        return pa.array(texts, pa.string())
    if kind == "IntervalDtype":
        return _intervals(series, name)
    if kind == "CategoricalDtype":
        return _categories(series, name)
    if getattr(dtype, "kind", "O") in _BY_VALUE and not hasattr(series.array, "__arrow_array__"):
        return _by_value(series, name)
    try:
        return pa.array(series, from_pandas=True)
    except (pa.ArrowException, UnicodeEncodeError, OverflowError):
        return _by_value(series, name)  # which finds the value that is wrong, and names it


def _by_value(series: Any, name: str) -> Any:
    pairs = zip(series, series.isna(), strict=True)
    values = [None if is_missing is True else value for value, is_missing in pairs]
    return to_array(values, None, stream=UNNAMED, field=name)


def _intervals(series: Any, name: str) -> Any:
    import pyarrow as pa

    rows = range(len(series))
    left = _array(series.array.left.to_series(index=rows), name)
    right = _array(series.array.right.to_series(index=rows), name)
    missing = pa.array(series.isna().to_numpy())
    ends = pa.StructArray.from_arrays([left, right], names=["left", "right"], mask=missing)
    return with_closed_end(ends, str(series.dtype.closed))


def _categories(series: Any, name: str) -> Any:
    import pyarrow as pa

    known = series.cat.categories
    categories = _array(known.to_series(index=range(len(known))), name)
    if isinstance(categories, pa.ChunkedArray):
        categories = categories.combine_chunks()
    codes = series.cat.codes.to_numpy()
    places = pa.array(codes, mask=codes < 0)
    if pa.types.is_string(categories.type) or pa.types.is_large_string(categories.type):
        return pa.DictionaryArray.from_arrays(places, categories)
    if isinstance(categories.type, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(categories.type, categories.storage.take(places))
    return categories.take(places)
