"""What is staged of one stream, as somebody else's program reads it: a schema, and JSON rows."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from etl_assets.engine.casting import RefusedValueError
from etl_assets.engine.staging import Staging
from etl_assets.exceptions import DataError
from etl_assets.model.batch import Batch
from etl_assets.model.catalog_entries import copied
from etl_assets.model.load import Load
from etl_assets.model.schema.json_schema import type_to_property
from etl_assets.model.schema.types import is_json
from etl_assets.strategies import WriteStrategy

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_AT_ONCE = 2_000
_OURS = ("x-arrow", "multipleOf")
"""Words that others do not know, or hold against decimals by dividing floats."""
_TYPED_ELSEWHERE = {"anyOf", "oneOf", "allOf", "enum", "const"}
"""Words that say of which type a value is, without the word `type`."""


@dataclass(frozen=True)
class Outgoing:
    """One stream of a commit.

    Args:
        load: What is done with it.
        staging: Its rows.
        number: Of this commit: milliseconds since 1970, so that later ones are larger.
    """

    load: Load
    staging: Staging
    number: int

    @property
    def replaces(self) -> bool:
        """Whether the rows take the place of all others."""
        return self.load.strategy is WriteStrategy.REPLACE

    @property
    def keys(self) -> list[str]:
        """The columns by which rows meet those that are there; none of an append."""
        stream = self.load.stream
        if self.load.strategy is WriteStrategy.APPEND:
            return []
        return list(stream.unique_constraints or stream.primary_key)

    @property
    def namespace(self) -> str:
        """Where the table is to be, if anybody said so."""
        table = self.load.table
        return table.schema if table and table.schema else self.load.stream.namespace or ""

    @property
    def name(self) -> str:
        """The name of the table to be."""
        stream = self.load.stream
        return self.load.table.name if self.load.table else stream.stream_alias or stream.name

    @cached_property
    def schema(self) -> dict[str, Any]:
        """The JSON Schema of the rows as they are sent: a column's type holds all its values."""
        declared = (self.load.stream.schema or {}).get("properties") or {}
        if self.staging.schema is None:  # no rows
            return {
                "type": "object",
                "properties": {name: _nullable(prop) for name, prop in declared.items()},
            }
        fields = {
            field.name: _property(field.type, declared.get(field.name))
            for field in self.staging.schema
        }
        return {"type": "object", "properties": fields}

    def rows(self) -> Iterator[list[dict[str, Any]]]:
        """Yield the rows, some at a time, in the order they came.

        For a merge, each key is among them once, as it came last.

        Raises:
            DataError: A value does not fit the type of its column.
        """
        last = self._last
        begin = 0
        for table in self._tables():
            for start in range(0, table.num_rows, ROWS_AT_ONCE):
                cut = table.slice(start, ROWS_AT_ONCE)
                rows = Batch(cut).screened(cut, {}).to_rows(self.load.stream)
                if last is not None:
                    rows = [row for index, row in enumerate(rows, begin) if index in last]
                begin += cut.num_rows
                yield rows

    def _tables(self) -> "Iterator[pa.Table]":
        try:
            yield from self.staging.tables(self.staging.schema)
        except RefusedValueError as error:
            raise DataError(
                error.message, stream=self.load.stream.name, field=error.column or ""
            ) from error

    @property
    def count(self) -> int:
        """How many rows are sent."""
        return self.staging.rows if self._last is None else len(self._last)

    @cached_property
    def _last(self) -> set[int] | None:
        """The place of each key's last row; None where every row counts."""
        if self.load.strategy is not WriteStrategy.MERGE:
            return None
        known = [] if self.staging.schema is None else self.staging.schema.names
        for key in self.keys:
            if known and key not in known:
                raise DataError(
                    "no record has this part of the key.", stream=self.load.stream.name, field=key
                )
        places: dict[tuple[Any, ...], int] = {}
        begin = 0
        for table in self._tables():
            columns = [table.column(key).to_pylist() for key in self.keys]
            places.update(
                zip(zip(*columns, strict=True), range(begin, begin + table.num_rows), strict=True)
            )
            begin += table.num_rows
        return set(places.values())


def _property(type_: "pa.DataType", declared: Any) -> dict[str, Any]:
    if is_json(type_):
        return _nullable(declared)
    found = {word: said for word, said in type_to_property(type_).items() if word not in _OURS}
    if found.get("format") == "time":
        found["airbyte_type"] = "time_without_timezone"  # else it is read as one with a zone
    if "multipleOf" in type_to_property(type_):
        found.pop("minimum", None)
        found.pop("maximum", None)
    return found


def _nullable(declared: Any) -> dict[str, Any]:
    """Return a property that takes null too; any value where its words point elsewhere."""
    if not isinstance(declared, Mapping) or "$ref" in str(declared):
        return {}
    prop: dict[str, Any] = copied(declared)
    said = prop.get("type")
    if isinstance(said, str):
        prop["type"] = ["null", said]
    elif isinstance(said, list) and "null" not in said:
        prop["type"] = ["null", *said]
    elif said is None and _TYPED_ELSEWHERE & prop.keys():
        return {}
    return prop
