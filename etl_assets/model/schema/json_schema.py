"""JSON Schema to Arrow and back.

What JSON Schema can say, is said in its own words (`multipleOf`, `format`, bounds of an integer's
width). What it cannot (bytes, single floats, nanoseconds, Arrow's own lists and structs), is added
under `x-arrow`, which other readers of a Singer catalog pass over; `values` says that a column's
type is that of its values, as in a stream without a schema.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError
from etl_assets.model.limits import MAX_COLUMNS
from etl_assets.model.schema.references import JsonSchema, References
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, json_type, logical
from etl_assets.model.values.numbers import is_far
from etl_assets.naming import refuse_surrogates

if TYPE_CHECKING:
    import pyarrow as pa

_INTEGER_BOUNDS = {
    (-(2**7), 2**7 - 1): "int8",
    (-(2**15), 2**15 - 1): "int16",
    (-(2**31), 2**31 - 1): "int32",
    (0, 2**8 - 1): "uint8",
    (0, 2**16 - 1): "uint16",
    (0, 2**32 - 1): "uint32",
    (0, 2**64 - 1): "uint64",
}
_INT64 = (-(2**63), 2**63 - 1)
_MORE_WORDS = frozenset(
    {
        "$ref",
        "anyOf",
        "oneOf",
        "allOf",
        "x-arrow",
        "enum",
        "multipleOf",
        "minimum",
        "maximum",
        "exclusiveMaximum",
    }
)
"""Without these, a property's type is told by its `type`, `format` and `airbyte_type` alone."""
REMEMBERED = 10_000
"""How many types are remembered before they are forgotten and found anew."""
_types: "dict[tuple[Any, ...], pa.DataType]" = {}
STEPS_OF_A_FIELD = 25
"""What a field inside of another counts: Arrow compares types by walking through them."""
NAIVE = {"airbyte_type": "timestamp_without_timezone"}


def to_arrow(schema: JsonSchema) -> "pa.Schema":
    """Return the Arrow schema of a stream's JSON Schema; every field may be NULL.

    `date-time` becomes a timestamp with a zone; rows whose values carry none give a naive one
    (`columns`). A property without a type, or with several, is JSON.

    Raises:
        ConfigError: A `$ref` points nowhere or goes in a circle, the schema says too much, or a
            name is no Unicode text; names the property.
    """
    import pyarrow as pa

    references = References(schema)
    properties = references.resolve(schema, "").get("properties") or {}
    if len(properties) > MAX_COLUMNS:
        raise ConfigError(
            f"the schema has {len(properties):,} properties, at most {MAX_COLUMNS:,}.",
            hint="Have the source send what belongs together as one object: it is kept as JSON.",
        )
    fields = []
    for name, declared in properties.items():
        refuse_surrogates(name)
        is_plain = type(declared) is dict and "$ref" not in declared
        prop = declared if is_plain else references.resolve(declared, name)
        type_ = _type(prop, references, name)
        fields.append(pa.field(name, type_, metadata=_field_metadata(prop)))
    return pa.schema(fields)


def _field_metadata(prop: JsonSchema) -> dict[str, bytes] | None:
    description = prop.get("description")
    if not isinstance(description, str):
        return None
    return {"description": description.encode("utf-8", "replace")}


def property_type(
    prop: JsonSchema, root: JsonSchema | None = None, name: str = ""
) -> "pa.DataType":
    """Return the Arrow type of one property.

    Args:
        prop: The property.
        root: The schema into which its references point; by default the property itself.
        name: For errors.

    Raises:
        ConfigError: As `to_arrow`.
    """
    return _type(prop, References(prop if root is None else root), name)


def _type(prop: Any, references: References, name: str) -> "pa.DataType":
    """Return the type of a property.

    Nearly all properties say it in plain words; the types of those are remembered.
    """
    if type(prop) is not dict or not _MORE_WORDS.isdisjoint(prop):
        return _found_type(prop, references, name)
    given = prop.get("type")
    if type(given) is list:
        given = tuple(given)
    words = (given, prop.get("format"), prop.get("airbyte_type"))
    try:
        known = _types.get(words)
    except TypeError:  # nonsense, such as an object as the type: it cannot be a key
        return _found_type(prop, references, name)
    if known is None:
        if len(_types) >= REMEMBERED:
            _types.clear()
        known = _types[words] = _found_type(prop, references, name)
    return known


def _found_type(prop: Any, references: References, name: str) -> "pa.DataType":
    import pyarrow as pa

    alternatives = references.alternatives(prop, name)
    found: dict[pa.DataType, None] = {}
    for alternative in alternatives:
        references.count(1, name)
        found.setdefault(_single_type(alternative, references, name))
    if len(found) == 1:
        return next(iter(found))
    if found and all(pa.types.is_integer(t) or pa.types.is_floating(t) for t in found):
        return pa.float64()
    if found and all(_is_text(a) for a in alternatives):
        return pa.string()  # a date or any text: the text holds both as they are
    return json_type()


def _is_text(prop: JsonSchema) -> bool:
    return prop.get("type") == "string" and "x-arrow" not in prop


def _single_type(prop: JsonSchema, references: References, name: str) -> "pa.DataType":
    import pyarrow as pa

    if "x-arrow" in prop:
        with references.deeper(name):
            return _annotated(prop, references, name)
    match prop.get("type"):
        case "integer":
            return _integer(prop)
        case "number":
            return _number(prop)
        case "boolean":
            return pa.bool_()
        case "string":
            return _string(prop)
        case None if (enum := prop.get("enum")) and all(isinstance(one, str) for one in enum):
            return pa.string()
        case _:
            return json_type()


def _annotated(prop: JsonSchema, references: References, name: str) -> "pa.DataType":
    import pyarrow as pa

    simple = {
        "binary": pa.binary(),
        "float": pa.float32(),
        "timestamp[ns]": pa.timestamp("ns"),
        "timestamp[ns, UTC]": pa.timestamp("ns", "UTC"),
        "time64[ns]": pa.time64("ns"),
        "duration": pa.duration("us"),
        "uuid": pa.uuid(),
        "values": pa.null(),
    }
    kind = prop["x-arrow"]
    if kind == "list":
        return pa.list_(_type(prop.get("items", {}), references, name))
    if kind == "struct":
        inner = prop.get("properties") or {}
        references.count(len(inner) * STEPS_OF_A_FIELD, name)
        return pa.struct([(key, _type(one, references, name)) for key, one in inner.items()])
    if kind not in simple:
        raise ConfigError(
            f"property {name!r}: x-arrow {kind!r} is none of {sorted([*simple, 'list', 'struct'])}."
        )
    return simple[kind]


def _integer(prop: JsonSchema) -> "pa.DataType":
    import pyarrow as pa

    low, high = prop.get("minimum"), prop.get("maximum")
    if isinstance(low, int) and isinstance(high, int):
        width = _INTEGER_BOUNDS.get((low, high))
        if width:
            return pa.type_for_alias(width)
    is_wide = _is_beyond_int64(low) or _is_beyond_int64(high)
    if is_wide or prop.get("airbyte_type") == "big_integer":
        return pa.decimal128(MAX_DECIMAL_DIGITS, 0)
    return pa.int64()


def _is_beyond_int64(bound: Any) -> bool:
    return isinstance(bound, int | float) and not _INT64[0] <= bound <= _INT64[1]


def _number(prop: JsonSchema) -> "pa.DataType":
    import pyarrow as pa

    if prop.get("airbyte_type") == "integer":
        return pa.int64()
    multiple = _positive(prop.get("multipleOf"))
    if multiple is None:
        return pa.float64()
    exponent = multiple.normalize().as_tuple().exponent
    scale = max(-exponent, 0) if isinstance(exponent, int) else 0
    whole = _whole_digits(prop)
    if whole is None:
        whole = max(MAX_DECIMAL_DIGITS - scale, 1)
    if whole + scale > MAX_DECIMAL_DIGITS or multiple.adjusted() >= MAX_DECIMAL_DIGITS:
        # No decimal holds all that it allows: the column is what the values need, as with a bare
        # number.
        return pa.float64()
    return pa.decimal128(max(whole + scale, 1), scale)


def _whole_digits(prop: JsonSchema) -> int | None:
    """Return how many digits the bounds allow before the decimal point.

    Without an upper bound there is no such number: None.
    """
    # PostgreSQL taps say numeric(p, s) as multipleOf 10^-s and |value| <= 10^(p-s).
    uppers = [_digits_of(prop.get(word)) for word in ("maximum", "exclusiveMaximum")]
    known = [digits for digits in uppers if digits is not None]
    if not known:
        return None
    low: Any = prop.get("minimum")
    below_zero = _digits_of(-low) if _is_number(low) else None
    return max(*known, below_zero or 0)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _digits_of(bound: Any) -> int | None:
    """Return how many digits the values below a bound have before the decimal point.

    A bound that is no number above zero gives None.
    """
    if not _is_number(bound) or not bound > 0:
        return None
    number = _positive(bound)
    if number is None:
        return MAX_DECIMAL_DIGITS + 1  # beyond all types
    digits = number.normalize()
    is_power_of_ten = digits.as_tuple().digits == (1,)
    # Below 1000 there are three digits, below 2000 four.
    count = digits.adjusted() if is_power_of_ten else digits.adjusted() + 1
    return max(count, 0)


def _positive(value: Any) -> Decimal | None:
    """Return a number above zero as it is written, or None for anything else.

    A number beyond all types is None, too.
    """
    if not _is_number(value):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    is_usable = number.is_finite() and number > 0 and not is_far(number)
    return number if is_usable else None


def _string(prop: JsonSchema) -> "pa.DataType":
    import pyarrow as pa

    naive = prop.get("airbyte_type") in {"timestamp_without_timezone", "time_without_timezone"}
    match prop.get("format"):
        case "date-time":
            return pa.timestamp("us", None if naive else "UTC")
        case "date":
            return pa.date32()
        case "time":
            return pa.time64("us")
        case _:
            return pa.string()


def from_arrow(schema: "pa.Schema") -> dict[str, Any]:
    """Return the JSON Schema of an Arrow schema; `to_arrow` turns it into the same types again."""
    import pyarrow as pa

    properties = {}
    for field in schema:
        # JSON Schema has no word for a map: the values tell, or the column itself.
        is_map = pa.types.is_map(field.type)
        prop = {"x-arrow": "values"} if is_map else type_to_property(field.type)
        description = (field.metadata or {}).get(b"description")
        if description:
            prop["description"] = description.decode()
        properties[field.name] = prop
    return {"type": "object", "properties": properties}


def type_to_property(type_: "pa.DataType") -> dict[str, Any]:
    """Return the JSON Schema property of one Arrow type; it always allows null."""
    from pyarrow import types as t

    type_ = logical(type_)
    if t.is_integer(type_):
        return _integer_property(type_)
    if t.is_decimal(type_):
        return _decimal_property(type_)
    if t.is_list(type_) or t.is_large_list(type_) or t.is_fixed_size_list(type_):
        return _nullable("array", items=type_to_property(type_.value_type), x_arrow="list")
    if t.is_struct(type_):
        members = [type_.field(place) for place in range(type_.num_fields)]
        inner = {member.name: type_to_property(member.type) for member in members}
        return _nullable("object", properties=inner, x_arrow="struct")
    # A copy: the caller adds the description. JSON allows any value, so its property is empty.
    return dict(_plain_properties().get(type_, {}))


def _nullable(type_: str, *, x_arrow: str | None = None, **words: Any) -> dict[str, Any]:
    """Return a property of one type or null, with more words of JSON Schema, and with `x-arrow`."""
    prop = {"type": ["null", type_], **words}
    if x_arrow is not None:
        prop["x-arrow"] = x_arrow
    return prop


def _integer_property(type_: "pa.DataType") -> dict[str, Any]:
    for (low, high), name in _INTEGER_BOUNDS.items():
        if name == str(type_):
            return _nullable("integer", minimum=low, maximum=high)
    return _nullable("integer")  # 64 bits


def _decimal_property(type_: "pa.DataType") -> dict[str, Any]:
    limit = 10 ** (type_.precision - type_.scale)
    step = float(Decimal(1).scaleb(-type_.scale)) if type_.scale else 1
    return _nullable("number", multipleOf=step, minimum=-limit, maximum=limit)


def _plain_properties() -> "dict[pa.DataType, dict[str, Any]]":
    import pyarrow as pa

    moment = {"format": "date-time"}
    in_nanoseconds = "timestamp[ns, UTC]"
    return {
        pa.bool_(): _nullable("boolean"),
        pa.float64(): _nullable("number"),
        pa.float32(): _nullable("number", x_arrow="float"),
        pa.date32(): _nullable("string", format="date"),
        pa.timestamp("us", "UTC"): _nullable("string", **moment),
        pa.timestamp("us"): _nullable("string", **moment, **NAIVE),
        pa.timestamp("ns", "UTC"): _nullable("string", **moment, x_arrow=in_nanoseconds),
        pa.timestamp("ns"): _nullable("string", **moment, x_arrow="timestamp[ns]"),
        pa.time64("us"): _nullable("string", format="time"),
        pa.time64("ns"): _nullable("string", format="time", x_arrow="time64[ns]"),
        pa.duration("us"): _nullable("string", format="duration", x_arrow="duration"),
        pa.binary(): _nullable("string", contentEncoding="base64", x_arrow="binary"),
        pa.uuid(): _nullable("string", format="uuid", x_arrow="uuid"),
        pa.string(): _nullable("string"),
        pa.null(): _nullable("string"),
    }
