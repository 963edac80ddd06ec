"""Arrow's arrays as arrays of types that every destination knows, with the same values.

What is undone here is how values are encoded (dictionaries, runs, views, extensions) and what no
destination has (half floats, unions, decimals of 76 digits). Arrow's own casts are taken only where
they were tried: of a list view that has a NULL they make an array that is not valid, of decimals a
text with an exponent.
"""

from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import DataError
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, extension_name, is_json, json_type
from etl_assets.model.values.scalars import to_json
from etl_assets.model.values.times import bounds, interval_text, number_beyond, shown

if TYPE_CHECKING:
    import pyarrow as pa

INTERVAL = "month_day_nano_interval"
_TEXTS = ("string", "large_string", "binary", "large_binary")


class Place:
    """Where an array is, for errors.

    Args:
        stream: The stream's name.
        field: The field's name.
        metadata: That of the field, which tells of an extension whose type nobody has registered.
    """

    def __init__(self, stream: str, field: str, metadata: dict[bytes, bytes] | None = None) -> None:
        self.stream = stream
        self.field = field
        self.extension = (metadata or {}).get(b"ARROW:extension:name", b"").decode(errors="replace")
        self.of_extension = (metadata or {}).get(b"ARROW:extension:metadata", b"")

    def error(self, message: str, value: object = None, *, hint: str | None = None) -> DataError:
        """Return the error that a value cannot be stored."""
        return DataError(message, stream=self.stream, field=self.field, value=value, hint=hint)


@lru_cache(1024)
def is_plain(type_: "pa.DataType") -> bool:
    """Return whether values of a type are what they seem, with nothing to undo or to look at."""
    from pyarrow import types as t

    if is_json(type_):
        return bool(type_ == json_type())
    if extension_name(type_) is not None:
        return extension_name(type_) == "arrow.uuid"
    if t.is_dictionary(type_):
        return str(type_.value_type) in _TEXTS
    if t.is_decimal(type_):
        return bool(t.is_decimal128(type_))
    if t.is_string_view(type_) or t.is_binary_view(type_):
        return False
    if t.is_temporal(type_) or t.is_float16(type_):
        return False
    if t.is_run_end_encoded(type_) or t.is_union(type_):
        return False
    if t.is_list_view(type_) or t.is_large_list_view(type_):
        return False
    names = [type_.field(at).name for at in range(type_.num_fields)]
    if t.is_map(type_) or len(set(names)) < len(names):
        return False
    return all(is_plain(type_.field(at).type) for at in range(type_.num_fields))


def plain(array: "pa.Array", place: Place) -> "pa.Array":
    """Return the values of an array in a type that is known everywhere.

    Raises:
        DataError: A value is none that could be stored.
    """
    import pyarrow as pa

    if place.extension.startswith("pandas."):
        return _of_pandas(array, place)
    if is_plain(array.type):
        return array
    if pa.types.is_nested(array.type) and _needs_json(array, place):
        return json_array(array, place)
    return _plain(array, place)


def _plain(array: Any, place: Place) -> Any:
    from pyarrow import types as t

    type_ = array.type
    if is_plain(type_):
        return array
    if extension_name(type_) is not None:
        return _storage(array, place)
    if t.is_dictionary(type_):
        return _taken(_plain(array.dictionary, place), array.indices)
    if t.is_run_end_encoded(type_):
        return _runs(array, place)
    if t.is_nested(type_):
        return _nested(array, place)
    return _flat(array, place)


def _flat(array: Any, place: Place) -> Any:
    import pyarrow as pa
    from pyarrow import types as t

    type_ = array.type
    # Arrow can take, filter and compare no views.
    if t.is_string_view(type_):
        return array.cast(pa.large_string())
    if t.is_binary_view(type_):
        return array.cast(pa.large_binary())
    if t.is_float16(type_):
        return array.cast(pa.float32())
    if t.is_decimal(type_):
        return _decimals(array)
    if t.is_interval(type_):
        return _intervals(array, place)
    limits = bounds(type_)
    beyond = None if limits is None else number_beyond(array, *limits)
    if beyond is not None:
        raise place.error(
            f"is no {type_} that could be stored.",
            shown(beyond),
            hint="Send NULL where there is none.",
        )
    return array


def _runs(array: Any, place: Place) -> Any:
    """Return the value of each place in an array of runs; Arrow does not know all their types."""
    import numpy as np
    import pyarrow as pa

    places = np.arange(array.offset, array.offset + len(array))
    runs = np.searchsorted(array.run_ends.to_numpy(), places, side="right")
    return _taken(_plain(array.values, place), pa.array(runs))


def _taken(values: Any, places: Any) -> Any:
    import pyarrow as pa

    if isinstance(values.type, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(values.type, values.storage.take(places))
    return values.take(places)


def _storage(array: Any, place: Place) -> Any:
    """Return what an extension's values stand for, which its storage may not say."""
    import pyarrow as pa

    name = extension_name(array.type)
    if is_json(array.type):
        return pa.ExtensionArray.from_storage(json_type(), array.storage.cast(pa.utf8()))
    if name == "arrow.bool8":
        return array.storage.cast(pa.bool_())
    if name is not None and name.startswith("pandas."):
        return _of_pandas(array, place)
    return _plain(array.storage, place)


def _of_pandas(array: Any, place: Place) -> Any:
    """Return what pandas has written as an extension.

    A period is a number of periods there, which says nothing alone.
    """
    import pyarrow as pa

    name = extension_name(array.type)
    if name:
        settings, storage = array.type.__arrow_ext_serialize__(), array.storage
    else:
        name, settings, storage = place.extension, place.of_extension, array
    if name == "pandas.interval":
        return with_closed_end(_plain(storage, place), _setting(settings, "closed"))
    if name != "pandas.period":
        return _plain(storage, place)
    import pandas as pd

    period = partial(pd.Period, freq=_setting(settings, "freq"))
    ordinals = storage.to_pylist()
    periods = [None if one is None else str(period(ordinal=one)) for one in ordinals]
    return pa.array(periods, pa.string())


def _setting(settings: bytes, name: str) -> str:
    import json

    return str(json.loads(settings)[name])


def with_closed_end(ends: "pa.StructArray", closed: str) -> "pa.StructArray":
    """Return intervals with the end that belongs to them, which pandas keeps in the type."""
    import pyarrow as pa

    side = pa.repeat(closed, len(ends))
    return pa.StructArray.from_arrays(
        [ends.field(0), ends.field(1), side], names=["left", "right", "closed"], mask=ends.is_null()
    )


def _decimals(array: Any) -> Any:
    import pyarrow as pa

    type_ = array.type
    if type_.precision <= MAX_DECIMAL_DIGITS:
        return array.cast(pa.decimal128(type_.precision, type_.scale))
    return pa.array([None if one is None else f"{one:f}" for one in array.to_pylist()], pa.string())


def _intervals(array: Any, place: Place) -> Any:
    import pyarrow as pa

    if str(array.type) != INTERVAL:
        raise place.error(
            f"{array.type} is a type whose values cannot be read.", hint="Cast it at the source."
        )
    texts = [None if one is None else interval_text(*one) for one in array.to_pylist()]
    return pa.array(texts, pa.string())


# Lists, structs, maps


def _nested(array: Any, place: Place) -> Any:
    import pyarrow as pa
    from pyarrow import types as t

    type_ = array.type
    if t.is_struct(type_):
        if not type_.num_fields:
            return array
        fields = [_inner(array.field(at), place) for at in range(type_.num_fields)]
        names = [type_.field(at).name for at in range(type_.num_fields)]
        return pa.StructArray.from_arrays(fields, names=names, mask=array.is_null())
    if t.is_map(type_):
        first, last = (array.offsets[at].as_py() for at in (0, -1))
        keys = _inner(array.keys.slice(first, last - first), place)
        items = _inner(array.items.slice(first, last - first), place)
        return pa.MapArray.from_arrays(_offsets(array, large=False), keys, items)
    values = _inner(array.flatten(), place)
    if t.is_fixed_size_list(type_) and values.type == type_.value_type:
        return array  # which has been looked at
    large = t.is_large_list(type_) or t.is_large_list_view(type_)
    kind = pa.LargeListArray if large else pa.ListArray
    return kind.from_arrays(_offsets(array, large=large), values)


def _inner(array: Any, place: Place) -> Any:
    """Return values inside of others; a decimal of any size is a number there, which JSON has."""
    import pyarrow as pa

    too_long = pa.types.is_decimal(array.type) and array.type.precision > MAX_DECIMAL_DIGITS
    return array if too_long else _plain(array, place)


def _offsets(array: Any, *, large: bool) -> Any:
    """Return where the values of each list begin, once there are no others between them.

    For a list that is NULL, that is NULL, too.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_map(array.type):
        begins = array.offsets.to_numpy()
        lengths = begins[1:] - begins[:-1]
    else:
        lengths = pc.list_value_length(array).fill_null(0).to_numpy(zero_copy_only=False)
    ends = np.cumsum(lengths, dtype=np.int64 if large else np.int32)
    begins = np.concatenate([[0], ends]).astype(ends.dtype)
    missing = np.append(array.is_null().to_numpy(zero_copy_only=False), False)
    return pa.array(begins, mask=missing)


def _needs_json(array: Any, place: Place) -> bool:
    """Return whether only JSON can hold a nested value.

    That is one with a union in it, or a map with a key twice.

    Raises:
        DataError: A struct has two fields of one name, which no destination tells apart.
    """
    from pyarrow import types as t

    type_ = array.type
    if t.is_union(type_):
        return True
    if t.is_dictionary(type_) or t.is_run_end_encoded(type_) or extension_name(type_) is not None:
        return False
    if t.is_struct(type_):
        names = [type_.field(at).name for at in range(type_.num_fields)]
        repeated = next((name for at, name in enumerate(names) if name in names[:at]), None)
        if repeated is not None:
            raise place.error(
                f"two fields inside of it are called {repeated!r}.",
                str(type_),
                hint="Rename one of them at the source.",
            )
        return any(_needs_json(array.field(at), place) for at in range(type_.num_fields))
    if t.is_map(type_):
        return _repeats_keys(array) or _needs_json(array.items, place)
    if t.is_nested(type_):
        return _needs_json(array.flatten(), place)
    return False


def _repeats_keys(maps: Any) -> bool:
    import numpy as np
    import pyarrow as pa

    begins = maps.offsets.to_numpy()
    rows = np.repeat(np.arange(len(maps)), begins[1:] - begins[:-1])
    if not len(rows):
        return False
    keys = maps.keys.slice(int(begins[0]), len(rows))
    table = pa.table({"row": rows, "key": keys})
    try:
        pairs = table.group_by(["row", "key"], use_threads=False).aggregate([])
    except (pa.ArrowNotImplementedError, pa.ArrowInvalid):  # keys that are nested
        found = [(row, repr(key)) for row, key in zip(rows, keys.to_pylist(), strict=True)]
        return len(set(found)) < len(found)
    return int(pairs.num_rows) < len(rows)


def json_array(array: Any, place: Place) -> "pa.Array":
    """Return nested values as JSON; a map is a list of its pairs, which may have a key twice.

    Raises:
        DataError: JSON has no such value; names it.
    """
    import pyarrow as pa

    texts = json_texts(array, partial(_unwritable, place))
    return pa.ExtensionArray.from_storage(json_type(), pa.array(texts, pa.utf8()))


def _unwritable(place: Place, value: object, error: Exception) -> DataError:
    return place.error(f"does not fit JSON: {error}.", value)


def json_texts(array: Any, refused: Any) -> list[str | None]:
    """Return nested values as JSON texts, exactly.

    Args:
        array: The values, with or without chunks.
        refused: Gives the error to raise, of a value and what was wrong with it.
    """
    import pyarrow as pa

    chunks = array.chunks if isinstance(array, pa.ChunkedArray) else [array]
    found: list[str | None] = []
    for chunk in chunks:
        exact = _spelled(chunk)
        for row in range(len(exact)):
            value: object = None
            try:
                value = exact[row].as_py()
                found.append(None if value is None else to_json(value))
            except (ValueError, TypeError, OverflowError) as error:
                if value is None:  # Python has no such value
                    value = shown(exact.slice(row, 1))
                raise refused(value, error) from error
    return found


def _spelled(array: Any) -> Any:
    """Return nested values with a text in place of each time of day in nanoseconds.

    Python would drop their last three digits.
    """
    import pyarrow as pa
    from pyarrow import types as t

    type_ = array.type
    if t.is_time64(type_) and type_.unit == "ns":
        return array.cast(pa.string())
    if not _has_nanoseconds(type_):
        return array
    if t.is_struct(type_):
        fields = [_spelled(array.field(at)) for at in range(type_.num_fields)]
        names = [type_.field(at).name for at in range(type_.num_fields)]
        return pa.StructArray.from_arrays(fields, names=names, mask=array.is_null())
    if t.is_map(type_):
        first, last = (array.offsets[at].as_py() for at in (0, -1))
        keys = _spelled(array.keys.slice(first, last - first))
        items = _spelled(array.items.slice(first, last - first))
        return pa.MapArray.from_arrays(_offsets(array, large=False), keys, items)
    if t.is_union(type_):
        return array
    return pa.LargeListArray.from_arrays(_offsets(array, large=True), _spelled(array.flatten()))


@lru_cache(1024)
def _has_nanoseconds(type_: "pa.DataType") -> bool:
    from pyarrow import types as t

    if t.is_nested(type_):
        return any(_has_nanoseconds(type_.field(at).type) for at in range(type_.num_fields))
    return bool(t.is_time64(type_) and type_.unit == "ns")
