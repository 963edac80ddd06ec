"""The columns that the SCHEMA messages of a stream have declared so far.

A target reads a record by its SCHEMA, and may drop what that does not name. So a column that only
turns up in the rows is declared before them, and again when its type grows.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from etl_assets.model.batch import Batch
from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.model.schema.types import merge_types
from etl_assets.model.selection import column_selector
from etl_assets.model.stream import Stream

if TYPE_CHECKING:
    import pyarrow as pa


class DeclaredColumns:
    """Follows the columns of one stream, batch by batch.

    Args:
        stream: The stream, whose schema is declared before its rows.
        properties: Columns that stand in place of the stream's own; no others are written then.
    """

    def __init__(self, stream: Stream, properties: Mapping[str, Any] | None) -> None:
        self._stream = stream
        self._fixed = properties is not None
        declared: Mapping[str, Any] = (stream.schema or {}).get("properties") or {}
        selects = column_selector(stream)
        selected = {name: prop for name, prop in declared.items() if selects(name)}
        self._declared = dict(properties if properties is not None else selected)
        self._found: dict[str, pa.DataType] = {}

    @property
    def properties(self) -> dict[str, Any]:
        """The JSON Schemas of all columns."""
        import pyarrow as pa

        return {**self._declared, **from_arrow(pa.schema(list(self._found.items())))["properties"]}

    def take(self, batch: Batch, rows: Sequence[Mapping[str, Any]]) -> bool:
        """Take a batch and its rows as they are about to be written.

        Tells whether there is more to declare now.
        """
        new = [] if self._fixed else [name for name in rows[0] if name not in self._declared]
        if not new:
            return False
        if batch.rows is None or not self._declared:
            found = batch.to_arrow(self._stream).schema
        else:
            undeclared = Batch([{name: row[name] for name in new} for row in rows])
            found = undeclared.to_arrow(Stream(self._stream.name)).schema
        merged = dict(self._found)
        for name in new:
            type_ = found.field(name).type
            merged[name] = merge_types(merged[name], type_) if name in merged else type_
        changed, self._found = merged != self._found, merged
        return changed
