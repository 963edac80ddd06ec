"""The base of SQL destinations written for Mage: they write the statements, and this runs them.

A table is made or gets new columns whenever a batch has columns that were not there before, while
Mage only looks at the first batch. Statements are never logged, because they contain the rows.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from typing_extensions import override

from etl_assets.destinations.base import Destination
from etl_assets.destinations.constants import (
    KEY_RECORD,
    MAX_QUERY_STRING_SIZE,
    REPLICATION_METHOD_FULL_TABLE,
    REPLICATION_METHOD_INCREMENTAL,
    REPLICATION_METHOD_LOG_BASED,
)
from etl_assets.exceptions import ConfigError
from etl_assets.mage import sql_commands
from etl_assets.mage.arrays import batch
from etl_assets.model.batch import Batch
from etl_assets.model.schema.json_schema import from_arrow
from etl_assets.model.stream import Stream

METHODS = (
    REPLICATION_METHOD_FULL_TABLE,
    REPLICATION_METHOD_INCREMENTAL,
    REPLICATION_METHOD_LOG_BASED,
)

Records = list[dict[str, Any]]


class MageSqlDestination(Destination):
    """A SQL destination in Mage's style.

    A subclass MUST override `build_connection`, `does_table_exist`, `build_create_table_commands`
    and `build_insert_commands`.
    """

    DATABASE_CONFIG_KEY = "database"
    SCHEMA_CONFIG_KEY = "schema"
    TABLE_CONFIG_KEY = "table"
    BATCH_SIZE = 1000
    """Rows of one INSERT."""

    def __init__(self, argument_parser: Any = None, **options: Any) -> None:
        super().__init__(argument_parser, **options)
        self.attempted_create_table = False
        self.records_affected = 0
        self.records_inserted = 0
        self.records_updated = 0
        self._columns_made: dict[str, list[str]] = {}
        """For each stream, the columns that its table was prepared for."""

    # Hooks that say how to connect and how names are spelled

    def build_connection(self) -> Any:
        """Return the way to the database, one of `etl_assets.connections`."""
        raise NotImplementedError(f"{type(self).__name__} must override build_connection.")

    @override
    def test_connection(self) -> None:
        way = self.build_connection()
        way.close_connection(way.build_connection())

    @property
    def quote(self) -> str:
        """The quote that encloses a name."""
        return ""

    @property
    def use_lowercase(self) -> bool:
        """Whether names are converted to lower case."""
        return bool(self.config.get("lower_case", True))

    @property
    def allow_reserved_words(self) -> bool:
        """Whether a column may have a reserved word as its name."""
        return bool(self.config.get("allow_reserved_words", False))

    @property
    def skip_schema_creation(self) -> bool:
        """Whether creating the schema is left to somebody else."""
        return self.config.get("skip_schema_creation") is True

    def clean_column_name(self, col: str) -> str:
        """Return a column's name in the table."""
        return sql_commands.clean_column_name(
            col, lower_case=self.use_lowercase, allow_reserved_words=self.allow_reserved_words
        )

    def _wrap_with_quotes(self, name: str) -> str:
        plain = name.replace('"', "")
        return f"{self.quote}{plain}{self.quote}"

    # Hooks that write statements

    def does_table_exist(
        self, schema_name: str, table_name: str, database_name: str | None = None
    ) -> bool:
        """Return whether a table exists."""
        raise NotImplementedError(
            f"{type(self).__name__} must override does_table_exist ({table_name!r})."
        )

    def build_create_schema_commands(self, database_name: str, schema_name: str) -> list[str]:
        """Return the statements that create a schema unless it exists."""
        del database_name
        if not schema_name:
            return []
        return [f"CREATE SCHEMA IF NOT EXISTS {self._wrap_with_quotes(schema_name)}"]

    def build_create_table_commands(
        self,
        schema: dict[str, Any],
        schema_name: str,
        stream: str,
        table_name: str,
        database_name: str | None = None,
        unique_constraints: Sequence[str] | None = None,
    ) -> list[str]:
        """Return the statements that create a table for a stream's schema."""
        raise NotImplementedError(
            f"{type(self).__name__} must override build_create_table_commands ({stream!r})."
        )

    def build_alter_table_commands(
        self,
        schema: dict[str, Any],
        schema_name: str,
        stream: str,
        table_name: str,
        database_name: str | None = None,
        unique_constraints: Sequence[str] | None = None,
    ) -> list[str]:
        """Return the statements that add missing columns to a table."""
        del schema, schema_name, stream, table_name, database_name, unique_constraints
        return []

    def build_insert_commands(  # noqa: PLR0917 - Mage's signature
        self,
        records: Records,
        schema: dict[str, Any],
        schema_name: str,
        table_name: str,
        database_name: str | None = None,
        unique_conflict_method: str | None = None,
        unique_constraints: Sequence[str] | None = None,
    ) -> list[str]:
        """Return the statements that insert records."""
        raise NotImplementedError(
            f"{type(self).__name__} must override build_insert_commands ({table_name!r})."
        )

    def calculate_records_inserted_and_updated(
        self,
        data: list[list[tuple[Any, ...]]],
        unique_constraints: Sequence[str] | None = None,
        unique_conflict_method: str | None = None,
    ) -> tuple[int, int]:
        """Return for the log how many rows are new and how many have changed.

        Args:
            data: The rows that the statements returned.
            unique_constraints: The columns that identify a row.
            unique_conflict_method: What happens to a row that exists already.
        """
        del data, unique_constraints, unique_conflict_method
        return self.records_inserted, self.records_updated

    # What it does

    @override
    def export_batch_data(
        self, record_data: Records, stream: str, tags: Mapping[str, Any] | None = None
    ) -> None:
        told = {
            **(tags or {}),
            **self._place(stream),
            "records": len(record_data),
            "stream": stream,
        }
        self._declare(record_data, stream)
        for item in record_data:
            item[KEY_RECORD] = sql_commands.update_record_with_internal_columns(item[KEY_RECORD])
        if stream not in self._columns_made and not self.skip_schema_creation:
            place = self._place(stream)
            commands = self.build_create_schema_commands(
                place["database_name"], place["schema_name"]
            )
            self.build_connection().execute(commands, commit=True)
        statements = self.build_query_strings(record_data, stream, tags=told)
        data = self.process_queries(statements, record_data=record_data, stream=stream, tags=told)
        self._columns_made[stream] = list(self.schemas[stream]["properties"])
        inserted, updated = self.calculate_records_inserted_and_updated(
            data,
            unique_constraints=self.unique_constraints.get(stream),
            unique_conflict_method=self.unique_conflict_methods.get(stream),
        )
        self.logger.info(
            "Export data completed.", tags={**told, "inserted": inserted, "updated": updated}
        )

    def _declare(self, record_data: Records, stream: str) -> None:
        """Add columns to a stream's schema that its records have, but the schema does not.

        An INSERT would leave them out.
        """
        schema = self.schemas[stream]
        new = [name for name in record_data[0][KEY_RECORD] if name not in schema["properties"]]
        if new:
            rows = Batch(
                [{name: item[KEY_RECORD].get(name) for name in new} for item in record_data]
            )
            found = from_arrow(rows.to_arrow(Stream(stream)).schema)["properties"]
            self.schemas = {
                **self.schemas,
                stream: {**schema, "properties": {**schema["properties"], **found}},
            }

    def build_query_strings(
        self, record_data: Records, stream: str, tags: Mapping[str, Any] | None = None
    ) -> list[str]:
        """Return the statements that create a stream's table, or add columns to it, if any.

        Raises:
            ConfigError: The replication method is none of Mage's.
        """
        del record_data, tags
        schema, method = self.schemas[stream], self.replication_methods.get(stream)
        if method not in METHODS:
            known = ", ".join(METHODS)
            raise ConfigError(
                f"stream {stream!r}: the replication method {method!r} is none of {known}.",
                stream=stream,
            )
        if self._columns_made.get(stream) == list(schema["properties"]):
            return []
        place = self._place(stream)
        words = {
            "schema": schema,
            "stream": stream,
            "unique_constraints": self.unique_constraints.get(stream),
            **place,
        }
        if self.does_table_exist(**place):
            return list(self.build_alter_table_commands(**words) or ())
        self.attempted_create_table = True
        return list(self.build_create_table_commands(**words))

    def process_queries(
        self,
        query_strings: list[str],
        record_data: Records,
        stream: str,
        tags: Mapping[str, Any] | None = None,
    ) -> list[list[tuple[Any, ...]]]:
        """Run statements, then the INSERTs of records, and return the rows that they return."""
        results = list(self.build_connection().execute(query_strings, commit=True))
        waiting: list[str] = []
        for number, part in enumerate(batch(record_data, self.BATCH_SIZE)):
            waiting += self._handle_insert_commands_single_batch(
                list(part), stream, idx=number, tags=tags
            )
            if sum(map(len, waiting)) >= MAX_QUERY_STRING_SIZE:
                results += self.build_connection().execute(waiting, commit=True)
                waiting = []
        if waiting:
            results += self.build_connection().execute(waiting, commit=True)
        return results

    def _handle_insert_commands_single_batch(
        self, record_data: Records, stream: str, idx: int = 0, tags: Mapping[str, Any] | None = None
    ) -> list[str]:
        del idx, tags
        return self.build_insert_commands(
            records=[item[KEY_RECORD] for item in record_data],
            schema=self.schemas[stream],
            unique_conflict_method=self.unique_conflict_methods.get(stream),
            unique_constraints=self.unique_constraints.get(stream),
            **self._place(stream),
        )

    def _place(self, stream: str) -> dict[str, Any]:
        """Return where a stream's table is, by the names of the hooks' arguments.

        The table has the stream's name unless the config names it.
        """
        config = self.config
        return {
            "database_name": config.get(self.DATABASE_CONFIG_KEY),
            "schema_name": config.get(self.SCHEMA_CONFIG_KEY),
            "table_name": config.get(self.TABLE_CONFIG_KEY) or stream,
        }


def main(destination_class: type[Destination]) -> None:
    """Run a destination as a program, as Mage starts those of SQL.

    Args:
        destination_class: The class.
    """
    destination_class(argument_parser=argparse.ArgumentParser(), batch_processing=True).process(
        sys.stdin.buffer
    )
