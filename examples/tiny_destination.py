"""A destination in 55 lines, at least once: a file of JSON lines for each stream."""

import os
from hashlib import sha256
from pathlib import Path
from typing import Any

import simplejson

from etl_assets import Batch, Capabilities, Destination, Stream
from etl_assets.exceptions import DataError
from etl_assets.model.load import Load
from etl_assets.model.stored import TableName
from etl_assets.model.values.scalars import to_json

LOAD_ID = "_load_id"


class JsonLines(Destination):
    capabilities = Capabilities(encoding="arrow")  # so every value is checked before `export`
    storage_kind = "jsonl"
    own_columns = (LOAD_ID,)

    def table_for(self, source: str, stream: Stream) -> TableName:
        """Name the file by a hash: a stream's name comes from elsewhere, and may hold `../`."""
        return TableName(sha256(repr((source, stream.key)).encode()).hexdigest()[:16])

    def file(self, table: TableName) -> Path:
        return Path(self.config["folder"]) / f"{table.name}.jsonl"

    def export(self, batch: Batch, load: Load) -> None:
        """Append a batch; if its bookmark is not stored, it comes again with another load id."""
        lines = [self.line(row, load) for row in batch.to_rows(load.stream)]
        table = load.table or self.table_for(load.source, load.stream)
        with self.file(table).open("a", encoding="utf-8") as file:
            file.writelines(lines)
            file.flush()
            os.fsync(file.fileno())

    def line(self, row: dict[str, Any], load: Load) -> str:
        for field, value in row.items():
            if field == LOAD_ID:
                raise DataError("is a name of ours.", stream=load.stream.name, field=field)
            try:
                to_json(value)
            except ValueError as error:  # NaN, which JSON has not
                at = {"stream": load.stream.name, "field": field, "value": value}
                raise DataError(f"{error}.", **at) from error
        return to_json({**row, LOAD_ID: load.load_id}) + "\n"

    def read_table(self, table: TableName, *, columns: Any = None) -> Any:
        lines = self.file(table).read_bytes().splitlines() if self.file(table).exists() else []
        rows = [simplejson.loads(line, use_decimal=True) for line in lines]
        found = Batch(rows).to_arrow(Stream(table.name))
        return found.select(columns or found.column_names)
