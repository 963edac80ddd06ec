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
"""The type of a property without any of these is told by its `type`, `format` and `airbyte_type` alone."""
REMEMBERED = 10_000
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
        plain = type(declared) is dict and "$ref" not in declared
        prop = declared if plain else references.resolve(declared, name)
        said = prop.get("description")
        metadata = (
            {"description": said.encode("utf-8", "replace")} if isinstance(said, str) else None
        )
        fields.append(pa.field(name, _type(prop, references, name), metadata=metadata))
    return pa.schema(fields)


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

    Of one that says it in plain words, as nearly all do, it is remembered.
    """
    if type(prop) is not dict or not _MORE_WORDS.isdisjoint(prop):
        return _found_type(prop, references, name)
    given = prop.get("type")
    words = (
        tuple(given) if type(given) is list else given,
        prop.get("format"),
        prop.get("airbyte_type"),
    )
    try:
        known = _types.get(words)
    except TypeError:  # nonsense
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
    width = (
        _INTEGER_BOUNDS.get((low, high)) if isinstance(low, int) and isinstance(high, int) else None
    )
    if width:
        return pa.type_for_alias(width)
    wide = any(isinstance(b, int | float) and not _INT64[0] <= b <= _INT64[1] for b in (low, high))
    if wide or prop.get("airbyte_type") == "big_integer":
        return pa.decimal128(MAX_DECIMAL_DIGITS, 0)
    return pa.int64()


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
        return (
            pa.float64()
        )  # no decimal holds all that it allows: what the values need, as of a bare number
    return pa.decimal128(max(whole + scale, 1), scale)


def _whole_digits(prop: JsonSchema) -> int | None:
    """Return how many digits the bounds allow before the decimal point.

    None where there is no upper bound.
    """
    # PostgreSQL taps say numeric(p, s) as multipleOf 10^-s and |value| <= 10^(p-s).
    uppers = [
        found
        for word in ("maximum", "exclusiveMaximum")
        if (found := _digits_of(prop.get(word))) is not None
    ]
    low = prop.get("minimum")
    lower = (
        _digits_of(-low)
        if isinstance(low, int | float | Decimal) and not isinstance(low, bool)
        else None
    )
    return max([*uppers, lower or 0]) if uppers else None


def _digits_of(bound: Any) -> int | None:
    """Return how many digits the values below a bound have before the decimal point.

    None if it is not above zero.
    """
    if isinstance(bound, bool) or not isinstance(bound, int | float | Decimal) or not bound > 0:
        return None
    number = _positive(bound)
    if number is None:
        return MAX_DECIMAL_DIGITS + 1  # beyond all types
    digits = number.normalize()
    return max(digits.adjusted() + (0 if digits.as_tuple().digits == (1,) else 1), 0)


def _positive(value: Any) -> Decimal | None:
    """Return a number above zero, as it is written.

    None for anything else, and for one beyond all types.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    return number if number.is_finite() and number > 0 and not is_far(number) else None


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
    """Return the JSON Schema of an Arrow schema.

    `to_arrow` of it gives the same logical types back.
    """
    import pyarrow as pa

    properties = {}
    for field in schema:
        is_map = pa.types.is_map(
            field.type
        )  # JSON Schema has no such type: the values tell, or the column itself
        prop = {"x-arrow": "values"} if is_map else type_to_property(field.type)
        description = (field.metadata or {}).get(b"description")
        if description:
            prop["description"] = description.decode()
        properties[field.name] = prop
    return {"type": "object", "properties": properties}


def type_to_property(type_: "pa.DataType") -> dict[str, Any]:
    """Return the JSON Schema property of one Arrow type; it always allows null."""
    import pyarrow as pa
    from pyarrow import types as t

    type_ = logical(type_)
    if t.is_integer(type_):
        bounds = {name: pair for pair, name in _INTEGER_BOUNDS.items()}.get(str(type_))
        return {
            "type": ["null", "integer"],
            **({"minimum": bounds[0], "maximum": bounds[1]} if bounds else {}),
        }
    if t.is_decimal(type_):
        limit = 10 ** (type_.precision - type_.scale)
        step = Decimal(1).scaleb(-type_.scale)
        multiple = 1 if not type_.scale else float(step)
        return {
            "type": ["null", "number"],
            "multipleOf": multiple,
            "minimum": -limit,
            "maximum": limit,
        }
    if t.is_list(type_) or t.is_large_list(type_) or t.is_fixed_size_list(type_):
        return {
            "type": ["null", "array"],
            "items": type_to_property(type_.value_type),
            "x-arrow": "list",
        }
    if t.is_struct(type_):
        inner = {
            type_.field(i).name: type_to_property(type_.field(i).type)
            for i in range(type_.num_fields)
        }
        return {"type": ["null", "object"], "properties": inner, "x-arrow": "struct"}
    plain: dict[pa.DataType, dict[str, Any]] = {
        pa.bool_(): {"type": ["null", "boolean"]},
        pa.float64(): {"type": ["null", "number"]},
        pa.float32(): {"type": ["null", "number"], "x-arrow": "float"},
        pa.date32(): {"type": ["null", "string"], "format": "date"},
        pa.timestamp("us", "UTC"): {"type": ["null", "string"], "format": "date-time"},
        pa.timestamp("us"): {"type": ["null", "string"], "format": "date-time", **NAIVE},
        pa.timestamp("ns", "UTC"): {
            "type": ["null", "string"],
            "format": "date-time",
            "x-arrow": "timestamp[ns, UTC]",
        },
        pa.timestamp("ns"): {
            "type": ["null", "string"],
            "format": "date-time",
            "x-arrow": "timestamp[ns]",
        },
        pa.time64("us"): {"type": ["null", "string"], "format": "time"},
        pa.time64("ns"): {"type": ["null", "string"], "format": "time", "x-arrow": "time64[ns]"},
        pa.duration("us"): {
            "type": ["null", "string"],
            "format": "duration",
            "x-arrow": "duration",
        },
        pa.binary(): {"type": ["null", "string"], "contentEncoding": "base64", "x-arrow": "binary"},
        pa.uuid(): {"type": ["null", "string"], "format": "uuid", "x-arrow": "uuid"},
        pa.string(): {"type": ["null", "string"]},
        pa.null(): {"type": ["null", "string"]},
    }
    return dict(plain.get(type_, {}))
