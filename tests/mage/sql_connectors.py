"""SQL sources and destinations as connectors for Mage are written: hooks that say how to connect and what to send."""

import json
from typing import Any

from etl_assets.connections.mysql import MySQL
from etl_assets.connections.postgresql import PostgreSQL
from etl_assets.destinations.constants import (
    COLUMN_FORMAT_DATETIME,
    COLUMN_TYPE_OBJECT,
    COLUMN_TYPE_STRING,
    INTERNAL_COLUMN_CREATED_AT,
    UNIQUE_CONFLICT_METHOD_UPDATE,
)
from etl_assets.destinations.sql.base import Destination, main
from etl_assets.destinations.sql.utils import (
    build_alter_table_command,
    build_create_table_command,
    build_insert_command,
    column_type_mapping,
    convert_column_type,
)
from etl_assets.sources.sql.base import Source
from etl_assets.sources.sql.utils import column_type_mapping as source_type_mapping

COLUMNS = """
SELECT t.relname, NULL, CASE i.indisprimary WHEN true THEN 'PRIMARY KEY' WHEN false THEN 'UNIQUE' END, a.attname,
       format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'NO' ELSE 'YES' END
FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_attribute a ON a.attrelid = t.oid
LEFT JOIN pg_index i ON i.indrelid = t.oid AND a.attnum = ANY (i.indkey)
WHERE n.nspname = '{schema}' AND t.relkind = 'r' AND a.attnum > 0 AND NOT a.attisdropped
"""


def postgres(config: Any) -> PostgreSQL:
    return PostgreSQL(
        **{name: config.get(name) for name in ("database", "host", "password", "username", "port")}
    )


class PostgresTables(Source):
    """Reads the tables of one schema of PostgreSQL."""

    def build_connection(self) -> PostgreSQL:
        return postgres(self.config)

    @property
    def table_prefix(self) -> str:
        return f'"{self.config["schema"]}".'

    def build_table_name(self, stream: Any) -> str:
        return f'{self.table_prefix}"{stream.tap_stream_id}"'

    def build_discover_query(self, schema: Any = None, streams: Any = None) -> str:
        query = COLUMNS.format(schema=self.config["schema"])
        names = ", ".join(f"'{name}'" for name in streams or ())
        return f"{query} AND t.relname IN ({names})" if names else query

    def update_column_names(self, columns: list[str]) -> list[str]:
        return [f'"{column}"' for column in columns]

    def column_type_mapping(self, column_type: str, column_format: str | None = None) -> str:
        return (
            "TIMESTAMP"
            if column_format == COLUMN_FORMAT_DATETIME
            else source_type_mapping(column_type)
        )


class MySqlTables(Source):
    """Reads the tables of one database of MySQL."""

    def build_connection(self) -> MySQL:
        return MySQL(**self.config)

    def build_discover_query(self, schema: Any = None, streams: Any = None) -> str:
        return super().build_discover_query(self.config["database"], streams)

    def update_column_names(self, columns: list[str]) -> list[str]:
        return [f"`{column}`" for column in columns]

    def wrap_column_in_quotes(self, column: str) -> str:
        return f"`{column}`"

    def column_type_mapping(self, column_type: str, column_format: str | None = None) -> str:
        return {"integer": "SIGNED", "number": "DOUBLE"}.get(column_type, "CHAR")


class PostgresTable(Destination):
    """Loads into one schema of PostgreSQL."""

    def build_connection(self) -> PostgreSQL:
        return postgres(self.config)

    @property
    def quote(self) -> str:
        return '"'

    def mapping(self, schema: Any) -> Any:
        def type_of(column_type: str, settings: Any, **words: Any) -> Any:
            if column_type == COLUMN_TYPE_OBJECT:
                return "JSONB"
            if (
                column_type == COLUMN_TYPE_STRING
                and settings.get("format") == COLUMN_FORMAT_DATETIME
            ):
                return "TIMESTAMPTZ"
            return convert_column_type(column_type, settings, **words)

        return column_type_mapping(schema, type_of, lambda item: f"{item}[]", string_type="TEXT")

    def does_table_exist(
        self, schema_name: str, table_name: str, database_name: str | None = None
    ) -> bool:
        query = f"SELECT 1 FROM pg_tables WHERE schemaname = '{schema_name}' AND tablename = '{table_name}'"
        return bool(self.build_connection().load(query))

    def build_create_table_commands(
        self,
        schema: Any,
        schema_name: Any,
        stream: Any,
        table_name: Any,
        database_name: Any = None,
        unique_constraints: Any = None,
    ) -> list[str]:
        return [
            build_create_table_command(
                column_type_mapping=self.mapping(schema),
                columns=schema["properties"].keys(),
                full_table_name=f'"{schema_name}"."{table_name}"',
                unique_constraints=unique_constraints,
                column_identifier=self.quote,
                use_lowercase=self.use_lowercase,
            )
        ]

    def build_alter_table_commands(
        self,
        schema: Any,
        schema_name: Any,
        stream: Any,
        table_name: Any,
        database_name: Any = None,
        unique_constraints: Any = None,
    ) -> list[str]:
        query = (
            "SELECT column_name FROM information_schema.columns "
            f"WHERE table_schema = '{schema_name}' AND table_name = '{table_name}'"
        )
        there = {row[0] for row in self.build_connection().load(query)}
        new = [name for name in schema["properties"] if self.clean_column_name(name) not in there]
        command = build_alter_table_command(
            self.mapping(schema),
            new,
            f'"{schema_name}"."{table_name}"',
            column_identifier=self.quote,
        )
        return [command] if command else []

    def build_insert_commands(
        self,
        records: Any,
        schema: Any,
        schema_name: Any,
        table_name: Any,
        database_name: Any = None,
        unique_conflict_method: Any = None,
        unique_constraints: Any = None,
    ) -> list[str]:
        names = list(schema["properties"])
        columns, values = build_insert_command(
            self.mapping(schema),
            names,
            records,
            string_parse_func=lambda text, column: (
                text.replace("'", "''") if column["type"] == COLUMN_TYPE_OBJECT else text
            ),
            column_identifier=self.quote,
        )
        command = f'INSERT INTO "{schema_name}"."{table_name}" ({", ".join(columns)}) VALUES {", ".join(values)}'
        if unique_constraints and unique_conflict_method:
            keys = ", ".join(
                self._wrap_with_quotes(self.clean_column_name(name)) for name in unique_constraints
            )
            kept = [
                self._wrap_with_quotes(self.clean_column_name(n))
                for n in names
                if n != INTERNAL_COLUMN_CREATED_AT
            ]
            update = ", ".join(f"{name} = EXCLUDED.{name}" for name in kept)
            does = (
                f"UPDATE SET {update}"
                if unique_conflict_method == UNIQUE_CONFLICT_METHOD_UPDATE
                else "NOTHING"
            )
            command += f" ON CONFLICT ({keys}) DO {does}"
        return [command]


class MySqlTable(Destination):
    """Loads into one database of MySQL."""

    def build_connection(self) -> MySQL:
        words: dict[str, Any] = {
            name: self.config[name] for name in ("database", "host", "password", "username", "port")
        }
        return MySQL(**words)

    def mapping(self, schema: Any) -> Any:
        def type_of(column_type: str, settings: Any, **words: Any) -> str:
            return {"integer": "SIGNED", "number": "DOUBLE"}.get(column_type, "CHAR(255)")

        return column_type_mapping(schema, type_of, lambda item: "LONGTEXT")

    def build_create_schema_commands(self, database_name: Any, schema_name: Any) -> list[str]:
        return []

    def does_table_exist(
        self, schema_name: Any, table_name: Any, database_name: Any = None
    ) -> bool:
        query = f"SELECT 1 FROM information_schema.tables WHERE table_schema = '{database_name}' AND table_name = '{table_name}'"
        return bool(self.build_connection().load(query))

    def build_create_table_commands(
        self,
        schema: Any,
        schema_name: Any,
        stream: Any,
        table_name: Any,
        database_name: Any = None,
        unique_constraints: Any = None,
    ) -> list[str]:
        mapping = {
            name: {**column, "type_converted": column["type_converted"].replace("SIGNED", "BIGINT")}
            for name, column in self.mapping(schema).items()
        }
        return [
            build_create_table_command(
                mapping, mapping.keys(), table_name, key_properties=self.key_properties[stream]
            )
        ]

    def build_insert_commands(
        self,
        records: Any,
        schema: Any,
        schema_name: Any,
        table_name: Any,
        database_name: Any = None,
        unique_conflict_method: Any = None,
        unique_constraints: Any = None,
    ) -> list[str]:
        def literal(value: Any, column_type: str) -> str:
            return (
                str(value)
                if column_type in {"DOUBLE", "SIGNED"}
                else f"CAST('{value}' AS {column_type})"
            )

        columns, values = build_insert_command(
            self.mapping(schema), schema["properties"], records, convert_column_to_type_func=literal,
            convert_array_func=lambda value, _: f"'{json.dumps(value)}'",
        )  # fmt: skip
        update = ", ".join(f"{name} = VALUES({name})" for name in columns)
        rows = ", ".join(values)
        return [
            f"INSERT INTO {table_name} ({', '.join(columns)}) VALUES {rows} ON DUPLICATE KEY UPDATE {update}"
        ]


if __name__ == "__main__":
    main(PostgresTable)
