"""Lists of plain Python values as Arrow arrays, made of their buffers: pyarrow's own way imports pandas first.

That import costs more than a small sync. Where pandas is there already, pyarrow's own way is taken, which is quicker on
long lists.
"""

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa

_OFFSETS_END = 2**31 - 1


def array_of(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array | pa.ChunkedArray":
    """Give an array just as `pa.array(values, type_)` does.

    Args:
        values: Each None or of a type that `pa.array` takes for it.
        type_: Any; those that JSON has are made without pandas.

    Raises:
        pyarrow.ArrowException: As `pa.array` raises.
        OverflowError: An integer is too large.
        UnicodeEncodeError: A text is not Unicode.
    """
    import pyarrow as pa

    made = None if "pandas" in sys.modules else from_buffers(values, type_)
    return pa.array(values, type_) if made is None else made


def from_buffers(values: Sequence[Any], type_: "pa.DataType") -> "pa.Array | None":
    """Give an array of JSON's types; None where the type is another, or a value is not exactly of its Python type."""
    import pyarrow as pa

    if type_ == pa.int64():
        return _numbers(values, int, type_)
    if type_ == pa.float64():
        return _numbers(values, float, type_)
    if type_ == pa.string():
        return _texts(values, str, type_)
    if type_ == pa.binary():
        return _texts(values, bytes, type_)
    return _booleans(values) if type_ == pa.bool_() else None


def _only(values: Sequence[Any], kind: type) -> tuple[bool, bool]:
    """Tell whether all values are None or exactly of a type, and whether there is a None."""
    kinds = set(map(type, values))
    return kinds <= {kind, type(None)}, type(None) in kinds


def _validity(values: Sequence[Any], *, nulls: bool) -> "pa.Buffer | None":
    import numpy as np
    import pyarrow as pa

    if not nulls:
        return None
    return pa.py_buffer(np.packbits([value is not None for value in values], bitorder="little"))


def _numbers(values: Sequence[Any], kind: type, type_: "pa.DataType") -> "pa.Array | None":
    import numpy as np
    import pyarrow as pa

    plain, nulls = _only(values, kind)
    if not plain:
        return None
    filled = [0 if value is None else value for value in values] if nulls else values
    data = np.array(filled, np.int64 if kind is int else np.float64)
    return pa.Array.from_buffers(type_, len(values), [_validity(values, nulls=nulls), pa.py_buffer(data)])


def _booleans(values: Sequence[Any]) -> "pa.Array | None":
    import numpy as np
    import pyarrow as pa

    plain, nulls = _only(values, bool)
    if not plain:
        return None
    bits = np.packbits(np.array(values, np.bool_), bitorder="little")  # None is false
    return pa.Array.from_buffers(pa.bool_(), len(values), [_validity(values, nulls=nulls), pa.py_buffer(bits)])


def _texts(values: Sequence[Any], kind: type, type_: "pa.DataType") -> "pa.Array | None":
    import numpy as np
    import pyarrow as pa

    plain, nulls = _only(values, kind)
    if not plain:
        return None
    present = list(filter(None, values)) if nulls else values
    if kind is bytes:
        data, coded = b"".join(present), values
    else:
        text = "".join(present)
        data = text.encode()
        is_ascii = len(data) == len(text)
        coded = values if is_ascii else [value and value.encode() for value in values]
    if len(data) > _OFFSETS_END:
        return None  # in chunks
    offsets = np.zeros(len(values) + 1, np.int32)
    lengths = map(len, coded) if not nulls else [0 if value is None else len(value) for value in coded]
    np.cumsum(np.fromiter(lengths, np.int32, len(values)), out=offsets[1:])
    buffers = [_validity(values, nulls=nulls), pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(type_, len(values), buffers)
