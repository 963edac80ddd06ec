"""The types a column can have, as Arrow types, and how two of them meet.

`merge_types` is a join: associative, commutative, idempotent, and it never narrows. Everything that
one of the two types can hold, the merged one holds exactly, perhaps in another form (text, JSON).
Where there is no such type (bytes and anything else) it raises. JSON is the top: a column of values
of any kind, each as its JSON text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from etl_assets.exceptions import SchemaConflictError

if TYPE_CHECKING:
    import pyarrow as pa

MAX_DECIMAL_DIGITS = 38
INTEGER_DIGITS = 20
"""Every integer counts as this many digits beside a decimal.

One number for all widths keeps the join associative.
"""

_BELOW_DOUBLE = ("int8", "int16", "int32", "uint8", "uint16")
# uint32 would fit a double, but int32 with uint32 is int64, which does not: the join would depend
# on the order.
_BELOW_FLOAT = ("int8", "int16", "uint8")
# Where the values decide: these integers may be exact as doubles, or not.
_INTEGERS_AND_DOUBLES = ({"int64", "double"}, {"uint32", "double"}, {"uint64", "double"})


def json_type() -> "pa.DataType":
    """Return the type of a JSON column: Arrow's canonical extension over UTF-8 text."""
    import pyarrow as pa

    return pa.json_(pa.utf8())


def is_json(type_: "pa.DataType") -> bool:
    """Return whether a column holds JSON texts."""
    return getattr(type_, "extension_name", None) == "arrow.json"


def extension_name(type_: "pa.DataType") -> str | None:
    """Return the name of an extension type; None for Arrow's own types."""
    name = getattr(type_, "extension_name", None)
    return None if name is None else str(name)


def is_uuid(type_: "pa.DataType") -> bool:
    """Return whether a column holds UUIDs."""
    return getattr(type_, "extension_name", None) == "arrow.uuid"


def is_nested(type_: "pa.DataType") -> bool:
    """Return whether a type is a list, struct or map of Arrow's own."""
    import pyarrow as pa

    return bool(pa.types.is_nested(type_))


@lru_cache(1024)
def logical(type_: "pa.DataType") -> "pa.DataType":
    """Return the one type for all encodings of the same values.

    Dictionaries, large and view types, names of zones and units make no difference.
    """
    import pyarrow as pa
    from pyarrow import types as t

    if is_json(type_):
        return json_type()
    if t.is_dictionary(type_) or t.is_run_end_encoded(type_):
        return logical(type_.value_type)
    if isinstance(type_, pa.BaseExtensionType):
        return _of_extension(type_)
    if is_nested(type_):
        return _nested(type_)
    if t.is_large_string(type_) or t.is_string_view(type_):
        return pa.string()
    if t.is_large_binary(type_) or t.is_fixed_size_binary(type_) or t.is_binary_view(type_):
        return pa.binary()
    if t.is_float16(type_):
        return pa.float32()
    if t.is_decimal(type_):
        return _decimal(type_)
    return _logical_time(type_)


def _nested(type_: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa
    from pyarrow import types as t

    if t.is_list_view(type_):
        return pa.list_(type_.value_type)
    if t.is_large_list_view(type_):
        return pa.large_list(type_.value_type)
    return json_type() if t.is_union(type_) else type_


def _of_extension(type_: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    if is_uuid(type_):
        return type_
    by_name = {"arrow.bool8": pa.bool_(), "pandas.period": pa.string()}
    return by_name.get(str(extension_name(type_))) or logical(type_.storage_type)


def _decimal(type_: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa

    # Arrow allows scales below zero and beyond the precision; no database does.
    scale = max(type_.scale, 0)
    whole = max(type_.precision - type_.scale, 0)
    if whole + scale > MAX_DECIMAL_DIGITS:
        return pa.string()
    return pa.decimal128(max(whole + scale, 1), scale)


def _logical_time(type_: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa
    from pyarrow import types as t

    if t.is_timestamp(type_):
        return pa.timestamp("ns" if type_.unit == "ns" else "us", "UTC" if type_.tz else None)
    if t.is_time(type_):
        return pa.time64("ns" if type_.unit == "ns" else "us")
    if t.is_duration(type_):
        return pa.duration("us")
    if t.is_date(type_):
        return pa.date32()
    return pa.string() if t.is_interval(type_) else type_  # months and days have no common length


def merge_types(
    old: "pa.DataType", new: "pa.DataType", *, integers_fit: Callable[[], bool] = lambda: False
) -> "pa.DataType":
    """Return the narrowest type that holds every value of both exactly.

    Args:
        old: One type.
        new: The other.
        integers_fit: Asked only where 64-bit integers meet doubles: whether all integers there are
            exact as a double. Types alone cannot tell, so by default the two meet as text.

    Raises:
        SchemaConflictError: One is bytes and the other is not.
    """
    import pyarrow as pa
    from pyarrow import types as t

    old, new = logical(old), logical(new)
    if old == new or t.is_null(new):
        return old
    if t.is_null(old):
        return new
    if t.is_binary(old) or t.is_binary(new):
        raise SchemaConflictError(
            f"{old} and {new} have no common type: bytes cannot be told from text once they are "
            "in one column.",
            hint="Rename the field at the source, or do a full refresh.",
        )
    if any(is_json(one) or is_nested(one) for one in (old, new)):
        return json_type()
    if _is_number(old) and _is_number(new):
        are_integers_and_doubles = {str(old), str(new)} in _INTEGERS_AND_DOUBLES
        if are_integers_and_doubles and integers_fit():
            return pa.float64()
        return _merge_numbers(old, new)
    return _merge_times(old, new) or pa.string()


def _is_number(type_: "pa.DataType") -> bool:
    from pyarrow import types as t

    return bool(t.is_integer(type_) or t.is_floating(type_) or t.is_decimal(type_))


def _merge_numbers(old: "pa.DataType", new: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa
    from pyarrow import types as t

    if t.is_integer(old) and t.is_integer(new):
        return _merge_integers(old, new)
    if t.is_floating(old) and t.is_floating(new):
        return pa.float64()
    if t.is_floating(old) or t.is_floating(new):
        floating, other = (old, new) if t.is_floating(old) else (new, old)
        if floating == pa.float32() and str(other) in _BELOW_FLOAT:
            return pa.float32()
        return pa.float64() if str(other) in _BELOW_DOUBLE else pa.string()
    (whole_old, scale_old), (whole_new, scale_new) = _digits(old), _digits(new)
    whole, scale = max(whole_old, whole_new), max(scale_old, scale_new)
    if whole + scale > MAX_DECIMAL_DIGITS:
        return pa.string()
    return pa.decimal128(whole + scale, scale)


def _digits(type_: "pa.DataType") -> tuple[int, int]:
    """Return how many digits a number of a type has before its decimal point, and behind it."""
    from pyarrow import types as t

    if t.is_decimal(type_):
        return type_.precision - type_.scale, type_.scale
    return INTEGER_DIGITS, 0


def _merge_integers(old: "pa.DataType", new: "pa.DataType") -> "pa.DataType":
    import pyarrow as pa
    from pyarrow import types as t

    if t.is_signed_integer(old) == t.is_signed_integer(new):
        return old if old.bit_width >= new.bit_width else new
    signed, unsigned = (old, new) if t.is_signed_integer(old) else (new, old)
    width = max(signed.bit_width, unsigned.bit_width * 2)
    wider = {16: pa.int16(), 32: pa.int32(), 64: pa.int64()}
    return wider[width] if width in wider else pa.decimal128(INTEGER_DIGITS, 0)


def _merge_times(old: "pa.DataType", new: "pa.DataType") -> "pa.DataType | None":
    import pyarrow as pa
    from pyarrow import types as t

    naive = pa.timestamp("us")
    if {old, new} == {pa.date32(), naive}:
        return naive
    if t.is_time(old) and t.is_time(new):
        return pa.time64("ns")
    return None


def merge(old: "pa.Schema", new: "pa.Schema") -> "pa.Schema":
    """Return the schema that holds the rows of both: the old fields first, then the new ones.

    Raises:
        SchemaConflictError: A field has no common type; the error names it.
    """
    import pyarrow as pa

    fields = {field.name: field.with_type(logical(field.type)) for field in old}
    for field in new:
        known = fields.get(field.name)
        if known is None:
            fields[field.name] = field.with_type(logical(field.type))
            continue
        try:
            fields[field.name] = known.with_type(merge_types(known.type, field.type))
        except SchemaConflictError as error:
            raise error.named(field=field.name) from None
    return pa.schema(list(fields.values()))


@dataclass(frozen=True)
class FieldChange:
    """One difference between two schemas; a type is None where the field is not there."""

    field: str
    old: "pa.DataType | None"
    new: "pa.DataType | None"

    def __str__(self) -> str:
        if self.old is None:
            return f"added field {self.field!r} {self.new}"
        if self.new is None:
            return f"field {self.field!r} is gone"
        return f"field {self.field!r} {self.old} is now {self.new}"


def diff(old: "pa.Schema", new: "pa.Schema") -> Sequence[FieldChange]:
    """Return what has changed from one schema to another: the old one's fields first, in order."""
    before = {field.name: logical(field.type) for field in old}
    after = {field.name: logical(field.type) for field in new}
    names = dict.fromkeys([*before, *after])
    changes = [FieldChange(name, before.get(name), after.get(name)) for name in names]
    return [change for change in changes if change.old != change.new]
