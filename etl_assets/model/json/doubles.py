"""JSON texts of numbers as doubles, where each is exact as one."""

from typing import TYPE_CHECKING

from etl_assets.model.json.lines import exact_number
from etl_assets.model.values.exact_numbers import EXACT_DOUBLE

if TYPE_CHECKING:
    import pyarrow as pa

_EXACT_DIGITS = 15
"""A number of at most so many characters, without an exponent, is exact as a double.

It is the double's shortest text, or a longer form of that.
"""


def doubles_of(texts: "pa.StringArray") -> "pa.Array | None":
    """Return numbers as doubles; None where one is not exact, or so large that it may not be.

    Args:
        texts: Numbers as JSON has them, at least one of them not NULL.

    Raises:
        pyarrow.ArrowInvalid: One is no number.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    numbers = texts.cast(pa.float64())
    bounds = pc.min_max(numbers).as_py()
    if not -EXACT_DOUBLE < bounds["min"] <= bounds["max"] < EXACT_DOUBLE:
        return None
    places = np.frombuffer(texts.buffers()[1], np.int32)[texts.offset :][: len(texts) + 1]
    is_long = np.diff(places) > _EXACT_DIGITS
    if pc.any(pc.match_substring(texts, "e", ignore_case=True)).as_py():
        is_long[:] = True
    if not is_long.any():
        return numbers
    bits = pa.py_buffer(np.packbits(is_long, bitorder="little"))
    mask = pa.Array.from_buffers(pa.bool_(), len(texts), [None, bits])
    long, exact = texts.filter(mask), numbers.filter(mask)
    # Arrow writes an exponent where Python writes none, and the other way round.
    doubtful = long.filter(pc.not_equal(exact.cast(pa.string()), long))
    is_exact = all(type(exact_number(text)) is float for text in doubtful.to_pylist())
    return numbers if is_exact else None
