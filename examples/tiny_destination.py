"""A destination in less than 55 lines, at least once: each stream a file of JSON lines, each row with its load id."""

import hashlib
import os
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
    capabilities = Capabilities(
        encoding="arrow"
    )  # so every value is checked before `export` sees it
    storage_kind = "jsonl"
    own_columns = (LOAD_ID,)

    def table_for(self, source: str, stream: Stream) -> TableName:
        """Name the file by a hash: a stream's name comes from elsewhere, and may hold `../`."""
        return TableName(
            hashlib.sha256(to_json([source, stream.namespace, stream.name]).encode()).hexdigest()[
                :16
            ]
        )

    def file(self, table: TableName) -> Path:
        return Path(self.config["folder"]) / f"{table.name}.jsonl"

    def export(self, batch: Batch, load: Load) -> None:
        """Append a batch in one piece; killed before the bookmark is stored, it comes again, under another load id."""
        rows = [self.line(row, load) for row in batch.to_rows(load.stream)]
        with self.file(load.table or self.table_for(load.source, load.stream)).open(
            "a", encoding="utf-8"
        ) as file:
            file.writelines(rows)
            file.flush()
            os.fsync(file.fileno())

    def line(self, row: dict[str, Any], load: Load) -> str:
        for field, value in row.items():
            if field == LOAD_ID:
                raise DataError("is a name of ours.", stream=load.stream.name, field=field)
            try:
                to_json(value)
            except ValueError as error:  # NaN, which JSON has not
                raise DataError(
                    f"{error}.", stream=load.stream.name, field=field, value=value
                ) from error
        return to_json({**row, LOAD_ID: load.load_id}) + "\n"

    def read_table(self, table: TableName, *, columns: Any = None) -> Any:
        lines = self.file(table).read_bytes().splitlines() if self.file(table).exists() else []
        rows = [simplejson.loads(line, use_decimal=True) for line in lines]
        found = Batch(rows).to_arrow(Stream(table.name))
        return found.select(columns) if columns else found
