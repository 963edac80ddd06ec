"""The part of SQLAlchemy's Core that reads are made of, for PostgreSQL alone.

`import sqlalchemy` takes longer than a small read, and each of its statements a millisecond to
compile. A read of a plain table of PostgreSQL needs a handful of expressions, which are here under
the names that SQLAlchemy gives them: what makes a statement asks the snapshot for one of the two
(`Snapshot.core`), or `core_of` an expression. They are held equal by tests, which have the server
explain both.

Values are bound, with the casts that SQLAlchemy gives them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, Self

from typing_extensions import override

from etl_assets.naming import quote

_MARK = re.compile(r"(?<![:\w\\]):(\w+)(?!:)")
"""A place for a value in `text`."""


class Binds:
    """The values of one statement, by the names that they have in it."""

    def __init__(self) -> None:
        self.values: dict[str, Any] = {}

    def add(self, value: Any) -> str:
        """Return the mark that stands for a value."""
        name = f"param_{len(self.values) + 1}"
        self.values[name] = value
        return f"%({name})s"


class Element:
    """An expression of SQL. What Python's operators make of two of them is one, too."""

    is_compound = False
    """Whether it needs parentheses within another one."""

    def sql(self, binds: Binds) -> str:
        """Return the expression, and add its values to those of the statement."""
        raise NotImplementedError(f"{type(self).__name__} must override sql.")

    def part(self, binds: Binds) -> str:
        """Return the expression as a part of another one."""
        return f"({self.sql(binds)})" if self.is_compound else self.sql(binds)

    def __gt__(self, other: "Element") -> "Element":
        return Comparison(self, ">", other)

    def __ge__(self, other: "Element") -> "Element":
        return Comparison(self, ">=", other)

    def __lt__(self, other: "Element") -> "Element":
        return Comparison(self, "<", other)

    def __le__(self, other: "Element") -> "Element":
        return Comparison(self, "<=", other)

    @override
    def __eq__(self, other: object) -> Any:
        if not isinstance(other, Element):
            return NotImplemented
        return Comparison(self, "=", other)

    __hash__ = object.__hash__

    def is_(self, _null: None) -> "Element":
        """Return whether it is NULL."""
        return _Text(self, " IS NULL")

    def is_not(self, _null: None) -> "Element":
        """Return whether it is not NULL."""
        return _Text(self, " IS NOT NULL")

    def is_distinct_from(self, other: "Element") -> "Element":
        """Return whether it is another value, where NULL is one as well."""
        return Comparison(self, "IS DISTINCT FROM", other)

    def desc(self) -> "Element":
        """Return it for ORDER BY, the largest first."""
        return _Text(self, " DESC")

    def label(self, name: str) -> "Element":
        """Return it under a name of ours, for SELECT."""
        return _Text(self, f" AS {name}")


@dataclass(eq=False, repr=False)
class Raw(Element):
    """SQL as it stands."""

    text: str

    @override
    def sql(self, binds: Binds) -> str:
        return self.text


@dataclass(eq=False, repr=False)
class _Text(Element):
    """An expression with words of SQL behind it."""

    of: Element
    behind: str
    is_compound = True

    @override
    def sql(self, binds: Binds) -> str:
        return self.of.part(binds) + self.behind


@dataclass(eq=False, repr=False)
class Comparison(Element):
    """Two expressions with an operator between them."""

    left: Element
    operator: str
    right: Element
    is_compound = True

    @override
    def sql(self, binds: Binds) -> str:
        return f"{self.left.part(binds)} {self.operator} {self.right.part(binds)}"


@dataclass(eq=False, repr=False)
class Junction(Element):
    """Conditions with AND or OR between them."""

    word: str
    of: Sequence[Element]
    is_compound = True

    @override
    def sql(self, binds: Binds) -> str:
        return f" {self.word} ".join(one.part(binds) for one in self.of)


@dataclass(eq=False, repr=False)
class Call(Element):
    """A function of some arguments, or whatever else stands around expressions."""

    before: str
    of: Sequence[Element]
    behind: str = ")"

    @override
    def sql(self, binds: Binds) -> str:
        return f"{self.before}{', '.join(one.sql(binds) for one in self.of)}{self.behind}"


@dataclass(eq=False, repr=False)
class Bound(Element):
    """A value that is bound, with the cast that its type needs."""

    value: Any
    cast: str = ""

    @override
    def sql(self, binds: Binds) -> str:
        return f"{binds.add(self.value)}{self.cast}"


@dataclass(eq=False, repr=False)
class Cases(Element):
    """The result of the first condition that holds."""

    whens: Sequence[tuple[Element, Element]]
    otherwise: Element | None

    @override
    def sql(self, binds: Binds) -> str:
        whens = (f"WHEN ({one.sql(binds)}) THEN {then.part(binds)}" for one, then in self.whens)
        other = "" if self.otherwise is None else f" ELSE {self.otherwise.part(binds)}"
        return f"CASE {' '.join(whens)}{other} END"


# Types


@dataclass(frozen=True)
class Type:
    """A type of PostgreSQL: what a cast to it says, and what a bound value of it needs."""

    name: str
    bound: str = ""

    def __call__(self, *, timezone: bool = False, as_uuid: bool = True) -> "Type":
        """Return the type itself, as a class of SQLAlchemy's would make one."""
        del as_uuid
        return _ZONED if timezone else self


Text = Type("TEXT", "::VARCHAR")
BigInteger = Type("BIGINT", "::BIGINT")
Numeric = Type("NUMERIC")
Double = Type("DOUBLE PRECISION")
Date = Type("DATE", "::DATE")
DateTime = Type("TIMESTAMP WITHOUT TIME ZONE", "::TIMESTAMP WITHOUT TIME ZONE")
_ZONED = Type("TIMESTAMP WITH TIME ZONE", "::TIMESTAMP WITH TIME ZONE")
Time = Type("TIME WITHOUT TIME ZONE", "::TIME WITHOUT TIME ZONE")
Uuid = Type("UUID")


@dataclass(frozen=True)
class Declared:
    """The type that a column is declared as, as SQLAlchemy shows it."""

    text: str

    def __str__(self) -> str:
        return self.text


class CHAR(Declared):
    """A text that is filled up with spaces."""


# Tables


class TableClause:
    """A table and its columns, by their names.

    Args:
        name: The table's.
        names: Those of its columns.
        schema: None for the first in the search path that has it.
    """

    def __init__(self, name: str, names: Sequence[str], schema: str | None) -> None:
        self.sql = quote(name) if schema is None else f"{quote(schema)}.{quote(name)}"
        # A percent sign is the beginning of a mark, to the driver.
        self.sql = self.sql.replace("%", "%%")
        columns = {one: quote(one).replace("%", "%%") for one in names}
        self.c = {one: Raw(f"{self.sql}.{quoted}") for one, quoted in columns.items()}


@dataclass(frozen=True)
class Select:
    """A statement that reads. Each method returns another one."""

    of: Sequence[Element]
    source: TableClause | None = None
    conditions: Sequence[Element] = ()
    by: Sequence[Element] = ()
    most: int | None = None
    skipped: int | None = None

    def select_from(self, table: TableClause) -> Self:
        """Say which table is read."""
        return replace(self, source=table)

    def where(self, *conditions: Element) -> Self:
        """Add conditions, all of which hold."""
        return replace(self, conditions=[*self.conditions, *conditions])

    def order_by(self, *by: Element) -> Self:
        """Say in which order the rows come."""
        return replace(self, by=by)

    def limit(self, rows: int) -> Self:
        """Say how many rows there are at most."""
        return replace(self, most=rows)

    def offset(self, rows: int) -> Self:
        """Say how many rows are left out before these."""
        return replace(self, skipped=rows)

    def compiled(self) -> tuple[str, dict[str, Any]]:
        """Return the statement with the driver's marks, and its values."""
        binds = Binds()
        said = [f"SELECT {', '.join(one.sql(binds) for one in self.of)}"]
        if self.source is not None:
            said.append(f"FROM {self.source.sql}")
        if self.conditions:
            said.append(f"WHERE {' AND '.join(one.part(binds) for one in self.conditions)}")
        if self.by:
            said.append(f"ORDER BY {', '.join(one.sql(binds) for one in self.by)}")
        if self.most is not None:
            said.append(f"LIMIT {self.most:d}")
        if self.skipped is not None:
            said.append(f"OFFSET {self.skipped:d}")
        return " ".join(said), binds.values


@dataclass(frozen=True)
class TextClause:
    """A statement that is written out, with `:name` for its values."""

    text: str

    def compiled(self) -> tuple[str, None]:
        """Return the statement with the driver's marks; its values are given with it."""
        return _MARK.sub(r"%(\1)s", self.text.replace("%", "%%")), None


# The names of SQLAlchemy's functions


def select(*of: Element) -> Select:
    """Return a statement that reads expressions."""
    return Select(of)


def text(sql: str) -> TextClause:
    """Return a statement that is written out."""
    return TextClause(sql)


def literal_column(sql: str) -> Element:
    """Return SQL as it stands."""
    return Raw(sql)


def literal(value: Any, type_: Type | None = None) -> Element:
    """Return a value that is bound."""
    if type_ is None:
        type_ = Text if isinstance(value, str) else Type("")
    return Bound(value, type_.bound)


def and_(*conditions: Element) -> Element:
    """Return the condition that all of these hold."""
    return conditions[0] if len(conditions) == 1 else Junction("AND", conditions)


def or_(*conditions: Element) -> Element:
    """Return the condition that one of these holds."""
    return conditions[0] if len(conditions) == 1 else Junction("OR", conditions)


def not_(condition: Element) -> Element:
    """Return the condition that this does not hold."""
    return Call("NOT (", [condition])


def false() -> Element:
    """Return the condition that never holds."""
    return Raw("false")


def null() -> Element:
    """Return NULL."""
    return Raw("NULL")


def case(*whens: tuple[Element, Any], else_: Any = None) -> Element:
    """Return the result of the first condition that holds."""
    given = [(one, _value(then)) for one, then in whens]
    return Cases(given, None if else_ is None else _value(else_))


def _value(given: Any) -> Element:
    return given if isinstance(given, Element) else Raw(f"{given:d}")


def cast(of: Element, type_: Type) -> Element:
    """Return an expression as a value of a type."""
    return Call("CAST(", [of], f" AS {type_.name})")


def collate(of: Element, collation: str) -> Element:
    """Return a text that is compared by a collation."""
    return Call("(", [of], f" COLLATE {quote(collation)})")


def _count(*of: Element) -> Element:
    return Call("count(", of or [Raw("*")])


def _concat(*of: Element, type_: Type | None = None) -> Element:
    del type_
    return Call("pg_catalog.concat(", of)


func = SimpleNamespace(
    count=_count,
    min=lambda of: Call("min(", [of]),
    max=lambda of: Call("max(", [of]),
    pg_catalog=SimpleNamespace(concat=_concat),
)
"""The functions that reads use."""
