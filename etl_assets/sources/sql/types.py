"""What a database's column types mean: their Arrow type, their JSON Schema, how they are read.

Where a driver would round a value, shift it, or fail without naming the column, the database's own
text of the value is asked for instead, and read here.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import simplejson

from etl_assets.exceptions import DataError, SchemaConflictError
from etl_assets.model.schema.json_schema import type_to_property
from etl_assets.model.schema.types import MAX_DECIMAL_DIGITS, json_type, merge_types
from etl_assets.model.values.arrays import array_of, decimals_of, decimals_of_texts
from etl_assets.model.values.columns import is_before_year_one, to_array
from etl_assets.model.values.scalars import to_json
from etl_assets.sources.sql import expressions

if TYPE_CHECKING:
    import pyarrow as pa
    import sqlalchemy as sa

    Expression = Any
    """An expression of SQLAlchemy, or of `expressions`."""
    Condition = Any

Kind = Literal[
    "integer", "decimal", "number", "float", "boolean", "date", "timestamp", "instant", "time",
    "text", "uuid", "json", "binary", "other", "any",
]  # fmt: skip
"""What a column holds.

`number` is a decimal of any scale, `instant` a timestamp with a zone, `other` is read as the
database's own text, `any` as whatever the driver gives.
"""

How = Literal["native", "text", "json", "double", "integer"]
"""What is selected of a column.

It is the column itself, its text, the JSON of an array, a double of a single float, or a number of
bits.
"""

_MYSQL_BLOBS = {"TINYBLOB", "MEDIUMBLOB", "LONGBLOB"}
_MYSQL_WIDTHS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 32, "INTEGER": 32, "BIGINT": 64}
TIMES = {"date", "timestamp", "instant", "time"}
ARRAY_DIMENSIONS = 6
"""PostgreSQL's arrays have no more."""
SUBSCRIPTS = r"^\[[+-]?\d+:"
"""How the text of an array of PostgreSQL begins if its subscripts do not begin at 1.

No JSON begins so.
"""


def core_of(expression: Any) -> Any:
    """Return the module whose functions make expressions that go with this one.

    It is SQLAlchemy, or our own part of it.
    """
    if isinstance(expression, expressions.Element):
        return expressions
    import sqlalchemy

    return sqlalchemy


@dataclass(frozen=True)
class SqlType:
    """How the values of one column are read.

    Args:
        kind: What they are.
        arrow: Their Arrow type; None for the join over the values.
        how: What is selected.
    """

    kind: Kind
    arrow: "pa.DataType | None"
    how: How = "native"

    def expression(self, column: "Expression", dialect: str) -> "Expression":
        """Return what is selected for a column, or for an expression of its type."""
        sa = core_of(column)
        match self.how:
            case "text" if dialect == "postgresql":
                return postgres_text(column, self.kind)
            case "text":
                return sa.cast(column, sa.CHAR if dialect in {"mysql", "mariadb"} else sa.Text)
            case "json":
                return _array_as_json(column)
            case "double" if dialect == "postgresql":
                return sa.cast(column, sa.Double)
            case "double":
                # MySQL shows six digits of a single float.
                return column.op("+")(sa.literal_column("0e0"))
            case "integer":
                return column.op("+")(sa.literal_column("0"))
        return column

    def property(self, *, nullable: bool) -> dict[str, Any]:
        """Return the JSON Schema property."""
        prop: dict[str, Any]
        if self.kind == "number":
            # JSON Schema has no decimal of any scale.
            prop = {"type": ["null", "number"], "x-arrow": "values"}
        elif self.kind == "uuid":
            prop = {"type": ["null", "string"], "format": "uuid"}
        elif self.arrow is None:
            prop = {}
        else:
            prop = type_to_property(self.arrow)
        types = prop.get("type")
        if not nullable and isinstance(types, list):
            prop["type"] = next(one for one in types if one != "null")
        return prop


def sql_type(type_: "sa.types.TypeEngine[Any] | MySqlGeometry", dialect: str) -> SqlType:
    """Return how a column of a reflected type is read.

    Args:
        type_: As SQLAlchemy's inspector gives it.
        dialect: The dialect's name.
    """
    by_dialect: Mapping[str, Callable[[Any], SqlType | None]] = {
        "postgresql": _postgres,
        "mysql": _mysql,
        "mariadb": _mysql,
        "sqlite": _sqlite,
    }
    special = by_dialect.get(dialect, lambda _: None)(type_)
    return special or _general(type_, as_text=dialect in {"postgresql", "mysql", "mariadb"})


def _general(type_: Any, *, as_text: bool) -> SqlType:  # noqa: C901, PLR0911, PLR0912 - one line per family
    import pyarrow as pa
    import sqlalchemy as sa

    times: How = "text" if as_text else "native"
    if isinstance(type_, sa.Enum):
        return SqlType("text", pa.string(), times)
    if isinstance(type_, sa.Boolean):
        return SqlType("boolean", pa.bool_())
    if isinstance(type_, sa.Float):
        return SqlType("float", pa.float64())
    if isinstance(type_, sa.Numeric):
        return decimal_type(type_.precision, type_.scale, as_text=as_text)
    if isinstance(type_, sa.Integer):
        width = pa.int16() if isinstance(type_, sa.SmallInteger) else pa.int32()
        return SqlType("integer", pa.int64() if isinstance(type_, sa.BigInteger) else width)
    if isinstance(type_, sa.DateTime):
        kind: Kind = "instant" if type_.timezone else "timestamp"
        return SqlType(kind, pa.timestamp("us", "UTC" if type_.timezone else None), times)
    if isinstance(type_, sa.Date):
        return SqlType("date", pa.date32(), times)
    if isinstance(type_, sa.Time):
        if type_.timezone:
            return SqlType("other", pa.string(), times)
        return SqlType("time", pa.time64("us"), times)
    if isinstance(type_, sa.Interval) and not as_text:
        return SqlType("any", None)
    if isinstance(type_, sa.Interval):
        return SqlType("other", pa.string(), times)
    if isinstance(type_, sa.Uuid):
        return SqlType("uuid", pa.string(), times)
    if isinstance(type_, sa.JSON):
        return SqlType("json", json_type(), times)
    if isinstance(type_, sa.LargeBinary | sa.BINARY | sa.VARBINARY):
        return SqlType("binary", pa.binary())
    if isinstance(type_, sa.String):
        return SqlType("text", pa.string())
    return SqlType("other", pa.string(), "text")


def decimal_type(precision: int | None, scale: int | None, *, as_text: bool) -> SqlType:
    """Return how a decimal column is read.

    Without a precision, as the narrowest decimal that its values need.
    """
    import pyarrow as pa

    if precision is None:
        return SqlType("number", None)
    scale = scale or 0
    # numeric(2, -3) has five whole digits, numeric(3, 5) five after the point.
    whole, scale = max(precision - scale, 0), max(scale, 0)
    if whole + scale > MAX_DECIMAL_DIGITS:
        return SqlType("decimal", pa.string(), "text" if as_text else "native")
    return SqlType("decimal", pa.decimal128(max(whole + scale, 1), scale))


def _postgres(type_: Any) -> SqlType | None:
    import pyarrow as pa
    import sqlalchemy as sa
    from sqlalchemy.dialects import postgresql

    if isinstance(type_, postgresql.DOMAIN):
        return sql_type(type_.data_type, "postgresql")
    if isinstance(type_, sa.ARRAY):
        return SqlType("json", json_type(), "json")
    if isinstance(type_, postgresql.OID):
        return SqlType("integer", pa.uint32())
    if isinstance(type_, sa.REAL):
        return SqlType("float", pa.float32(), "double")
    if isinstance(type_, postgresql.INTERVAL | postgresql.BIT | postgresql.MONEY):
        return SqlType("other", pa.string(), "text")
    if isinstance(type_, postgresql.CITEXT) or type(type_) is sa.String:
        # `name`, and "char", which is sent as a byte: zero for ''.
        return SqlType("text", pa.string(), "text")
    return None


def postgres_text(column: "Expression", kind: Kind) -> "Expression":
    """Return the text of a column as its type's output function writes it.

    So do `psql`, COPY and arrays. A cast to text gives the same, except for types that have a cast
    of their own: that of `inet` adds `/32`.
    """
    sa = core_of(column)
    if kind != "other":
        return sa.cast(column, sa.Text)
    # Of a row whose fields are all NULL, IS NULL says that there is none.
    there = column.is_distinct_from(sa.null())
    return sa.case((there, sa.func.pg_catalog.concat(column, type_=sa.Text)))


def _array_as_json(column: "Expression") -> "Expression":
    """Return an array as JSON, or as its own text if its subscripts do not begin at 1.

    JSON cannot say these.
    """
    import sqlalchemy as sa
    from sqlalchemy.dialects.postgresql import array

    firsts = array(
        [sa.func.array_lower(column, dimension) for dimension in range(1, ARRAY_DIMENSIONS + 1)]
    )
    as_json = sa.cast(sa.func.to_json(column), sa.Text)
    return sa.case(
        (sa.literal_column("1") != sa.any_(firsts), sa.cast(column, sa.Text)), else_=as_json
    )


class MySqlGeometry:
    """Stands for MySQL's geometries, which SQLAlchemy does not know.

    As text they would be NULL; as bytes they are not.
    """

    def __str__(self) -> str:
        return "GEOMETRY"


def _mysql(type_: Any) -> SqlType | None:
    import pyarrow as pa

    name = type(type_).__name__.upper()
    if name in _MYSQL_WIDTHS:
        is_unsigned = getattr(type_, "unsigned", False) or getattr(type_, "zerofill", False)
        prefix = "uint" if is_unsigned else "int"
        return SqlType("integer", pa.type_for_alias(f"{prefix}{_MYSQL_WIDTHS[name]}"))
    if name == "BIT":
        return SqlType("integer", pa.uint64(), "integer")
    if name == "YEAR":
        return SqlType("integer", pa.int16())
    if name == "FLOAT":
        return SqlType("float", pa.float32(), "double")
    if name in _MYSQL_BLOBS:
        return SqlType("binary", pa.binary())
    if name == "SET":
        return SqlType("text", pa.string(), "text")
    if name == "TIMESTAMP":
        return SqlType("instant", pa.timestamp("us", "UTC"), "text")
    if isinstance(type_, MySqlGeometry):
        return SqlType("binary", pa.binary())
    return None


def _sqlite(type_: Any) -> SqlType | None:
    """Return how a column of SQLite is read, whose type is but an affinity.

    What is stored is read as it is, and must be what the declared type says.
    """
    import pyarrow as pa
    import sqlalchemy as sa

    if isinstance(type_, sa.types.NullType):
        return SqlType("any", None)
    if isinstance(type_, sa.Integer):
        return SqlType("integer", pa.int64())
    if isinstance(type_, sa.Numeric) and not isinstance(type_, sa.Float):
        if type_.precision is None:
            # A type's name that SQLite does not know is reflected as a numeric, too: the values say
            # what they are.
            return SqlType("any", None)
        return decimal_type(type_.precision, type_.scale, as_text=False)
    return None


def hint_of_text(dialect: str, field: str) -> str:
    """Return how a column is read whose values are not of its type: its text is always there."""
    quote = "`" if dialect in {"mysql", "mariadb"} else '"'
    name = f"{quote}{field}{quote}"
    types = {"mysql": "CHAR", "mariadb": "CHAR", "postgresql": "TEXT", "sqlite": "TEXT"}
    type_ = types.get(dialect, "VARCHAR(4000)")
    return (
        "Correct the value, or read the column as text by a query of the source, "
        f"SELECT CAST({name} AS {type_}) AS {name}, ... in queries={{...}}."
    )


class ColumnReader:
    """Turns the values of one column into Arrow, batch by batch.

    Its type only ever widens within a read.

    Args:
        type_: How they are read.
        dialect: The dialect's name.
        stream: For errors.
        field: The column's name.
    """

    def __init__(self, type_: SqlType, *, dialect: str, stream: str, field: str) -> None:
        self._type = type_
        self._dialect = dialect
        self._stream = stream
        self._field = field
        self._so_far: pa.DataType | None = None

    def empty_type(self) -> "pa.DataType":
        """Return the type of a column without values."""
        import pyarrow as pa

        if self._type.arrow is None or self._zone_is_unknown():
            return pa.null()
        return self._type.arrow

    def read(self, values: list[Any]) -> "pa.Array | pa.ChunkedArray":
        """Return the values as Arrow, exactly.

        Raises:
            DataError: A value is not what the column's type says; names stream, field and value.
        """
        type_ = self._type
        if type_.kind == "json":
            return self._json(values)
        if type_.kind == "boolean" and self._dialect == "sqlite":
            return self._array([self._flag(value) for value in values], type_.arrow)
        if type_.kind in TIMES and (type_.how == "text" or self._dialect == "sqlite"):
            return self._times(values)
        if type_.kind in {"decimal", "number"}:
            return self._decimals(values)
        if type_.how == "double":  # the database has made doubles of single floats
            return array_of(values, type_.arrow)
        if type_.arrow is None:
            return self._joined(values)
        return self._array(values, type_.arrow)

    def _array(
        self, values: list[Any], declared: "pa.DataType | None"
    ) -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa

        try:
            array = to_array(values, declared, stream=self._stream, field=self._field)
        except DataError as error:
            error.hint = error.hint or hint_of_text(self._dialect, self._field)
            raise
        if pa.types.is_null(array.type) and declared is not None and not self._zone_is_unknown():
            return pa.nulls(len(values), declared)
        return array

    def _zone_is_unknown(self) -> bool:
        return self._dialect == "sqlite" and self._type.kind == "timestamp"

    def _error(self, message: str, value: object) -> DataError:
        hint = hint_of_text(self._dialect, self._field)
        return DataError(message, stream=self._stream, field=self._field, value=value, hint=hint)

    def _times(self, values: list[Any]) -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa

        type_ = self._type.arrow
        assert type_ is not None  # noqa: S101 - dates and times have one
        if pa.types.is_date(type_):
            try:
                dates = array_of(values, pa.string()).cast(type_)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                dates = None
            if dates is not None and not is_before_year_one(dates):
                return dates
            # infinity, a zero date, a year beyond 9999, a number: told by name below
        if pa.types.is_time(type_) and self._dialect != "sqlite":
            are_times = all(value is None or _is_time_of_day(value) for value in values)
            if not are_times:  # MySQL's TIME is a span, too: -838:59:59
                return array_of(values, pa.string())
        array = self._array(values, type_)
        lacks_zone = pa.types.is_timestamp(array.type) and array.type.tz is None
        if self._type.kind == "instant" and lacks_zone:
            # MySQL's text of a TIMESTAMP is in the session's zone, which is UTC.
            return array.cast(type_)
        return array

    def _decimals(self, values: list[Any]) -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa

        declared = self._type.arrow
        if declared is not None and pa.types.is_decimal(declared):
            try:
                if self._dialect != "sqlite":
                    return decimals_of(values, declared)
                # It keeps a decimal as a double, whose shortest text is what was meant.
                texts = array_of(values, pa.float64()).cast(pa.string())
                return decimals_of_texts(texts, declared)
            except (pa.ArrowInvalid, pa.ArrowTypeError):
                pass  # not a number, or wider than declared
        if self._dialect == "sqlite":
            values = [_as_decimal(value) for value in values]
        for value in values:
            odd = isinstance(value, Decimal | float) and not math.isfinite(value)
            odd_text = isinstance(value, str) and value in {"NaN", "Infinity", "-Infinity"}
            if odd or odd_text:
                raise self._error(
                    "no decimal type holds this; select it as a double in a view.", str(value)
                )
        return self._joined(values) if declared is None else self._array(values, declared)

    def _joined(self, values: list[Any]) -> "pa.Array | pa.ChunkedArray":
        array = self._array(values, None)
        try:
            wanted = array.type if self._so_far is None else merge_types(self._so_far, array.type)
        except SchemaConflictError as error:
            first = next(value for value in values if value is not None)
            raise self._error(error.message, first) from error
        self._so_far = wanted
        return array if array.type.equals(wanted) else self._array(values, wanted)

    def _json(self, values: list[Any]) -> "pa.Array | pa.ChunkedArray":
        import pyarrow as pa

        if self._type.how == "native":
            values = [None if value is None else self._json_text(value) for value in values]
        return self._json_array(self._array(values, pa.string()))

    def _json_array(self, texts: "pa.Array | pa.ChunkedArray") -> "pa.Array":
        import pyarrow as pa
        import pyarrow.compute as pc

        if self._type.how == "json":
            odd = texts.filter(pc.match_substring_regex(texts, SUBSCRIPTS))
            if len(odd):
                raise self._error(
                    "an array whose subscripts do not begin at 1; JSON would lose them.",
                    odd[0].as_py(),
                )
        return pa.ExtensionArray.from_storage(pa.json_(texts.type), texts)

    def _json_text(self, value: Any) -> str:
        if isinstance(value, bytes | bytearray | memoryview):
            raise self._error("bytes are no JSON text.", bytes(value))
        try:
            if isinstance(value, str):
                simplejson.loads(value)
                return value
            return to_json(value)
        except (ValueError, TypeError, RecursionError) as error:
            raise self._error("is not JSON.", value) from error

    def _flag(self, value: Any) -> bool | None:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, int) and value in {0, 1}:
            return value == 1
        raise self._error("is no boolean: SQLite keeps 0 or 1 for one.", value)


def _as_decimal(value: Any) -> Any:
    """Return a double of SQLite's as the decimal that it stands for; anything else as it is."""
    if type(value) is float and math.isfinite(value):
        return Decimal(repr(value))
    return value


def _is_time_of_day(text: Any) -> bool:
    return isinstance(text, str) and text[2:3] == ":" and text[:2] < "24"
