"""A table of every type that a source database has, and what each of its values is.

To the cases of `tests/sources/test_sql_types.py`, which hold the bounds of the common types, come
the rarer types.
"""

import math
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.sources.sql_databases import Database
from tests.sources.test_sql_types import MYSQL, POSTGRES, SQLITE, Case, at

JSON = pa.json_(pa.utf8())

MORE_POSTGRES: dict[str, Case] = {
    "negative zero": ("double precision", ["'-0'", "0"], [-0.0, 0.0], pa.float64()),
    "infinite real": ("real", ["'Infinity'", "'-0'"], [math.inf, -0.0], pa.float32()),
    "trailing zeros": ("numeric(10,4)", ["1.1000", "-0"], [Decimal("1.1000"), Decimal(0)], pa.decimal128(10, 4)),
    "many digits": ("numeric(30,0)", ["123456789012345678901234567890"], [Decimal(123456789012345678901234567890)],
                    pa.decimal128(30, 0)),
    "leap day": ("date", ["'2024-02-29'", "'1582-10-10'"], [date(2024, 2, 29), date(1582, 10, 10)], pa.date32()),
    "coarse timestamp": ("timestamp(3)", ["'2026-01-01 00:00:00.1239'"], [at("2026-01-01T00:00:00.124")],
                         pa.timestamp("us")),
    "varchar": ("varchar(10)", ["'a '", r"E'\t\n\\'"], ["a ", "\t\n\\"], pa.string()),
    "wide char": ("char(3)", ["'😀'"], ["😀  "], pa.string()),
    '"char"': ('"char"', ["'x'", "''", r"'\377'"], ["x", "", r"\377"], pa.string()),
    "name": ("name", ["'pg_class'"], ["pg_class"], pa.string()),
    "text array": ("text[]", ["""'{"a,b",NULL,"","NULL"}'""", "'{}'"], ['["a,b",null,"","NULL"]', "[]"], JSON),
    "numeric of 38 digits in json": ("jsonb", ["'{\"n\": 12345678901234567890123456789012345678.5}'"],
                                     ['{"n": 12345678901234567890123456789012345678.5}'], JSON),
    "json null and text": ("jsonb", ["'null'", "'\"\"'"], ["null", '""'], JSON),
    "enum": ("mood", ["'sad é'"], ["sad é"], pa.string()),
    "enum array": ("mood[]", ["'{\"sad é\",ok}'"], ['["sad é","ok"]'], JSON),
    "domain": ("price", ["'1.10'"], [Decimal("1.10")], pa.decimal128(9, 2)),
    "domain of a domain": ("low_price", ["'1.10'"], [Decimal("1.10")], pa.decimal128(9, 2)),
    "domain of an array": ("prices", ["'{1,2}'"], ["[1,2]"], JSON),
    "domain of an instant": ("moment", ["'2020-01-01 05:45:00.1239+05:45'"], [at("2020-01-01T00:00:00.124+00:00")],
                             pa.timestamp("us", "UTC")),
    "domain of a time with a zone": ("clock", ["'10:00+02'"], ["10:00:00+02"], pa.string()),
    "domain of a char": ("padded", ["'a'"], ["a   "], pa.string()),
    "char of any length": ("bpchar", ["'a  '"], ["a  "], pa.string()),
    "composite": ("pair", ["""ROW(1, 'x "y"')"""], ['(1,"x ""y""")'], pa.string()),
    "range": ("int4range", ["'[1,5)'", "'empty'"], ["[1,5)", "empty"], pa.string()),
    "multirange": ("int4multirange", ["'{[1,3),[5,6)}'"], ["{[1,3),[5,6)}"], pa.string()),
    "money": ("money", ["'-1234.56'"], ["-$1,234.56"], pa.string()),
    "xml": ("xml", ["'<a b=\"1\">é</a>'"], ['<a b="1">é</a>'], pa.string()),
    "tsvector": ("tsvector", ["'a:1 b:2'"], ["'a':1 'b':2"], pa.string()),
    "macaddr": ("macaddr", ["'08:00:2b:01:02:03'"], ["08:00:2b:01:02:03"], pa.string()),
    "point": ("point", ["'(0.1,-2)'"], ["(0.1,-2)"], pa.string()),
    "varbit": ("bit varying(9)", ["B'0001'", "B''"], ["0001", ""], pa.string()),
    "oid": ("oid", ["4294967295"], [2**32 - 1], pa.uint32()),
    "no interval": ("interval", ["'0'", "'-1 mon +25:00:00'"], ["PT0S", "P-1MT25H"], pa.string()),
    "generated": ("integer GENERATED ALWAYS AS (id * 2) STORED", [], [], pa.int32()),
}  # fmt: skip

MORE_MYSQL: dict[str, Case] = {
    "tinyint(1)": ("tinyint(1)", ["2", "-128", "0"], [2, -128, 0], pa.int8()),
    "boolean": ("boolean", ["true", "false"], [1, 0], pa.int8()),
    "zerofill": ("int(5) zerofill", ["42"], [42], pa.uint32()),
    "trailing zeros": ("decimal(10,4)", ["1.1"], [Decimal("1.1000")], pa.decimal128(10, 4)),
    "unsigned decimal": ("decimal(20,0) unsigned", ["18446744073709551616"], [Decimal(2**64)], pa.decimal128(20, 0)),
    "scale of 30": ("decimal(38,30)", ["0." + "0" * 29 + "1"], [Decimal("1E-30")], pa.decimal128(38, 30)),
    "largest float": ("float", ["3.4028234e38", "1e-45"], [float.fromhex("0x1.fffffep+127"), 2.0**-149], pa.float32()),
    "double of fixed digits": ("double(10,2)", ["0.1"], [0.1], pa.float64()),
    "timestamp": ("timestamp(6) null", ["'2038-01-19 03:14:07.999999'", "'1970-01-01 00:00:01'"],
                  [datetime(2038, 1, 19, 3, 14, 7, 999999, UTC), datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)],
                  pa.timestamp("us", "UTC")),
    "datetime of seconds": ("datetime", ["'0001-01-01 00:00:00'"], [at("0001-01-01T00:00:00")], pa.timestamp("us")),
    "year zero": ("year", ["0", "1901"], [0, 1901], pa.int16()),
    "char": ("char(4)", ["'ab  '"], ["ab"], pa.string()),
    "varchar": ("varchar(10)", ["'a '", "'A'", r"'\0\t\n\r\\'"], ["a ", "A", "\0\t\n\r\\"], pa.string()),
    "latin2": ("varchar(10) character set latin2", ["'ł'"], ["ł"], pa.string()),
    "utf16": ("text character set utf16", ["'😀'"], ["😀"], pa.string()),
    "json": ("json", ["""'{"b": 1.10, "a": 12345678901234567890123456789012345678}'"""],
             ['{"b": 1.10, "a": 12345678901234567890123456789012345678}'], pa.string()),
    "varbinary": ("varbinary(10)", ["x''", "x'00'"], [b"", b"\0"], pa.binary()),
    "point": ("point", ["ST_GeomFromText('POINT(1 2)', 4326)"],
              [bytes.fromhex("e6100000" "0101000000" "000000000000f03f" "0000000000000040")], pa.binary()),
    "uuid": ("uuid", ["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"], ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"], pa.string()),
    "inet6": ("inet6", ["'2001:db8::1'"], ["2001:db8::1"], pa.string()),
    "empty enum": ("enum('','a')", ["''"], [""], pa.string()),
    "empty set": ("set('x','y')", ["''"], [""], pa.string()),
    "bit of one": ("bit(1)", ["b'1'"], [1], pa.uint64()),
    "generated": ("integer GENERATED ALWAYS AS (id * 2) STORED", [], [], pa.int32()),
}  # fmt: skip

MORE_SQLITE: dict[str, Case] = {
    "negative zero": ("blob_or_not", ["-0.0", "1.5"], [-0.0, 1.5], pa.float64()),
    "infinity": ("real", ["9e999", "-9e999"], [math.inf, -math.inf], pa.float64()),
    "bigint": ("unsigned big int", ["9223372036854775807"], [2**63 - 1], pa.int64()),
    "varchar": (
        "varchar(3)",
        ["'longer than three'", "''", "' '"],
        ["longer than three", "", " "],
        pa.string(),
    ),
    "text with zeros": ("text", ["'a' || char(0) || 'b'"], ["a\0b"], pa.string()),
    "time of seconds": ("time", ["'10:00:00'"], [time(10)], pa.time64("us")),
    "double precision": ("double precision", ["1e308", "5"], [1e308, 5.0], pa.float64()),
    "generated": ("integer GENERATED ALWAYS AS (id * 2) VIRTUAL", [], [], pa.int64()),
}

CASES: dict[str, dict[str, Case]] = {
    "postgresql": {**POSTGRES, **MORE_POSTGRES},
    "mysql": {**MYSQL, **MORE_MYSQL},
    "sqlite": {**SQLITE, **MORE_SQLITE},
}


def cases_of(source: Database) -> dict[str, Case]:
    """Return the cases of a source, without what its server was built without."""
    cases = CASES[source.kind]
    if source.kind != "postgresql":
        return cases
    with source.engine.connect() as connection:
        built = connection.exec_driver_sql(
            "SELECT count(*) FROM pg_config WHERE setting LIKE '%%libxml%%'"
        )
        return (
            cases
            if built.scalar()
            else {name: case for name, case in cases.items() if name != "xml"}
        )


PREPARED: dict[str, list[str]] = {
    "postgresql": [
        "CREATE TYPE mood AS ENUM ('sad é', 'ok')",
        "CREATE DOMAIN price AS numeric(9,2)",
        "CREATE DOMAIN low_price AS price CHECK (VALUE < 100)",
        "CREATE DOMAIN prices AS integer[]",
        "CREATE DOMAIN moment AS timestamp(3) with time zone",
        "CREATE DOMAIN clock AS time(3) with time zone",
        "CREATE DOMAIN padded AS char(4)",
        "CREATE TYPE pair AS (n integer, t text)",
    ],
    "mysql": [],
    "sqlite": [],
}


def refuses(destination: str, value: Any) -> bool:
    """Tell whether a destination cannot hold a value, so that the sync has to fail."""
    if isinstance(value, float):
        odd = not math.isfinite(value) or (value == 0 and math.copysign(1, value) < 0)
        return (destination == "mysql" and odd) or (destination == "sqlite" and math.isnan(value))
    return isinstance(value, str) and destination == "postgresql" and "\0" in value
