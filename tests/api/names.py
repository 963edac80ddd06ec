"""Every public name of PyAirbyte's documentation, where it is imported from here, and what it does.

The table below is walked by `test_names.py`, and `docs/pyairbyte.md` is made of it:
`python -m tests.api.names`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.api.not_taken import REASONS

PAGE = Path(__file__).resolve().parents[2] / "docs" / "pyairbyte.md"
TOP = "etl_assets"


@dataclass(frozen=True)
class Row:
    """Names that stand together.

    Args:
        where: The modules that each of them is imported from, without `etl_assets.`; "" for the
            top.
        names: The names.
        ours: What they do here.
    """

    where: Sequence[str]
    names: Sequence[str]
    ours: str


@dataclass(frozen=True)
class Members:
    """Members of a class.

    Args:
        module: Where the class is.
        cls: The class.
        names: What its objects have.
        ours: What they do here.
    """

    module: str
    cls: str
    names: Sequence[str]
    ours: str


MODULES = (
    *(
        "caches",
        "callbacks",
        "constants",
        "datasets",
        "destinations",
        "documents",
        "exceptions",
        "experimental",
    ),
    *(
        "logs",
        "progress",
        "records",
        "registry",
        "results",
        "secrets",
        "sources",
        "strategies",
        "types",
        "version",
    ),
)
NOT_TAKEN_OVER = {"cloud": "Airbyte Cloud", "mcp": "agents"}
"""By module: a word of the reason that the error gives."""

ROWS = (
    Row(
        ("", "sources", "sources.util", "experimental"),
        ("get_source",),
        "Neither installs nor connects before it is read. Takes Singer taps too; `source_name=` names its state.",
    ),
    Row(
        ("", "sources", "sources.util"),
        ("get_benchmark_source",),
        "Made-up rows from a source that is built in: no Docker.",
    ),
    Row(
        ("", "sources", "sources.base", "sources.util"),
        ("Source",),
        "The base of every source. Called with an executor and a name, it makes the source that runs this connector.",
    ),
    Row(
        ("", "destinations", "destinations.util"),
        ("get_destination",),
        "Neither installs nor connects before it is written to. Takes Singer targets too.",
    ),
    Row(
        ("", "destinations", "destinations.util"),
        ("get_noop_destination",),
        "Built in: converts, counts and drops. No Docker.",
    ),
    Row(
        ("", "destinations", "destinations.base", "destinations.util"),
        ("Destination",),
        "The base of every destination. Called with an executor and a name, it makes the one that runs this connector.",
    ),
    Row(
        ("", "caches", "caches.util"),
        ("get_default_cache", "new_local_cache"),
        "DuckDB files below `.cache`, as in PyAirbyte.",
    ),
    Row(
        ("", "caches", "caches.util", "caches.colab"),
        ("get_colab_cache",),
        "A DuckDB file in Google Drive; an `ImportError` elsewhere.",
    ),
    Row(
        ("", "caches", "caches.duckdb"),
        ("DuckDBCache",),
        "Connects when something is read or written, never when it is made.",
    ),
    Row(("caches", "caches.postgres"), ("PostgresCache",), "As in PyAirbyte."),
    Row(
        ("", "caches", "caches.bigquery"),
        ("BigQueryCache",),
        "As in PyAirbyte. Tested without Google's servers.",
    ),
    Row(
        ("caches", "caches.snowflake"),
        ("SnowflakeCache",),
        "As in PyAirbyte. Tested without Snowflake's servers.",
    ),
    Row(
        ("caches", "caches.motherduck"),
        ("MotherDuckCache",),
        "As in PyAirbyte. Tested without MotherDuck's servers.",
    ),
    Row(("caches",), ("MySQLCache", "SqliteCache"), "PyAirbyte has none."),
    Row(
        ("caches", "caches.base"),
        ("CacheBase",),
        "A pydantic model that owns a destination, which writes, and reads the destination's tables.",
    ),
    Row(("shared.sql_processor",), ("SqlConfig",), "The same as `CacheBase`."),
    Row(
        ("", "datasets"),
        ("CachedDataset",),
        "All rows of a table. `to_arrow` can be read again and again, without holding the rows in memory.",
    ),
    Row(
        ("datasets",),
        ("DatasetBase", "SQLDataset", "LazyDataset", "InMemoryDataset"),
        "Each can be a DataFrame, Arrow, polars or documents. A filter holds in every one of them.",
    ),
    Row(
        ("", "records"),
        ("StreamRecord",),
        "Keys are found whatever their case. Two that differ in case only are an error; lists can be hashed.",
    ),
    Row(("records",), ("StreamRecordHandler",), "As in PyAirbyte."),
    Row(
        ("", "results"),
        ("ReadResult", "WriteResult"),
        "Beside what PyAirbyte's have, `results` says of each stream what its sync did. Written records are confirmed.",
    ),
    Row(
        ("strategies",),
        ("WriteStrategy", "WriteMethod"),
        '`UPSERT` is `MERGE`, and `"upsert"` its old spelling. `REPLACE` reads everything, whatever else is said.',
    ),
    Row(
        ("", "secrets"),
        ("SecretSourceEnum", "get_secret"),
        "`default=` is given where nobody has the secret. An empty one counts as none. Nobody is asked within a run.",
    ),
    Row(
        ("secrets",),
        (
            "SecretManager",
            "CustomSecretManager",
            "SecretHandle",
            "SecretString",
            "GoogleGSMSecretManager",
        ),
        "A secret is masked in pickles and pydantic dumps too, and in every log, error and event.",
    ),
    Row(
        ("secrets",),
        ("register_secret_manager", "disable_secret_source", "is_secret_available"),
        "As in PyAirbyte.",
    ),
    Row(
        ("documents",),
        ("Document",),
        "Has an `id` of the primary key; records may differ in their fields.",
    ),
    Row(
        ("", "registry", "sources.registry"),
        ("get_available_connectors",),
        "The names of a shipped index and of installed packages: asks no network.",
    ),
    Row(
        ("registry", "sources.registry"),
        ("InstallType", "Language", "ConnectorMetadata", "get_connector_metadata"),
        "What the index says; it knows no versions.",
    ),
    Row(
        ("progress",),
        ("ProgressTracker", "ProgressStyle"),
        "Live on a terminal and in a notebook, plain lines elsewhere. `ETL_ASSETS_PROGRESS` names the style. "
        "No telemetry, no log file.",
    ),
    Row(
        ("constants",),
        (
            "AB_RAW_ID_COLUMN",
            "AB_EXTRACTED_AT_COLUMN",
            "AB_META_COLUMN",
            "DEFAULT_ARROW_MAX_CHUNK_SIZE",
        ),
        "As in PyAirbyte.",
    ),
    Row(
        ("callbacks",),
        ("ConfigChangeCallback",),
        "What it raises fails the sync: a token is not lost.",
    ),
    Row(("shared.catalog_providers",), ("CatalogProvider",), "As in PyAirbyte."),
    Row(
        ("shared.state_providers",),
        ("StateProviderBase", "StaticInputState", "JoinedStateProvider"),
        "As in PyAirbyte.",
    ),
    Row(
        ("shared.state_writers",),
        ("StateWriterBase", "NoOpStateWriter", "StdOutStateWriter"),
        "As in PyAirbyte.",
    ),
    Row(("types",), ("SQLTypeConverter",), "SQL's types, by JSON Schema."),
    Row(("version",), ("get_version",), "Of this library."),
    Row(
        ("logs",),
        ("get_global_file_logger", "warn_once"),
        "Python's own `logging`, under `etl_assets`.",
    ),
    Row(("_connector_base",), ("ConnectorBase",), "The base of `Source` and `Destination`."),
    Row(
        ("_writers.base",), ("AirbyteWriterInterface",), "Every destination and every cache is one."
    ),
    Row(("_message_iterators",), ("AirbyteMessageIterator",), "Messages are dicts."),
    Row(("_executors.base",), ("Executor",), "What starts a connector."),
)

MEMBERS = (
    Members(
        "sources.connector",
        "ConnectorSource",
        (
            *(
                "name",
                "connector_type",
                "executor",
                "config_change_callback",
                "set_config",
                "get_config",
            ),
            *(
                "config_hash",
                "validate_config",
                "config_spec",
                "print_config_spec",
                "docs_url",
                "connector_version",
            ),
            *(
                "check",
                "install",
                "uninstall",
                "select_streams",
                "select_all_streams",
                "set_streams",
            ),
            *(
                "get_selected_streams",
                "get_available_streams",
                "discovered_catalog",
                "configured_catalog",
            ),
            *(
                "get_configured_catalog",
                "get_stream_json_schema",
                "get_records",
                "get_documents",
                "get_samples",
            ),
            *(
                "print_samples",
                "set_cursor_key",
                "set_cursor_keys",
                "set_primary_key",
                "set_primary_keys",
                "read",
            ),
        ),
        "`name` is what `get_source` was given (`source-faker`); keys and schemas have the word `source_faker`. The "
        "specification and the catalog are asked for once. `to_assets` makes Dagster assets of it.",
    ),
    Members(
        "destinations.connector",
        "ConnectorDestination",
        (
            *(
                "name",
                "connector_type",
                "executor",
                "config_change_callback",
                "set_config",
                "get_config",
            ),
            *(
                "config_hash",
                "validate_config",
                "config_spec",
                "print_config_spec",
                "docs_url",
                "connector_version",
            ),
            *("check", "install", "uninstall", "write"),
        ),
        "Without `cache=`, what a source gives is written straight. Of a read result, what was written before is left "
        "out.",
    ),
    Members(
        "caches.duckdb",
        "DuckDBCache",
        (
            *(
                "cache_dir",
                "cleanup",
                "config_hash",
                "name",
                "schema_name",
                "table_prefix",
                "db_path",
            ),
            *("get_database_name", "get_sql_engine", "get_sql_alchemy_url", "get_vendor_client"),
            *(
                "get_create_table_extra_clauses",
                "execute_sql",
                "run_sql_query",
                "processor",
                "get_record_processor",
            ),
            *(
                "get_records",
                "get_pandas_dataframe",
                "get_arrow_dataset",
                "streams",
                "get_state_provider",
            ),
            *(
                "get_state_writer",
                "register_source",
                "paired_destination_name",
                "fetch_table_statistics",
            ),
            *(
                "get_sql_connection",
                "catalog_provider",
                "sql_config",
                "database_name",
                "fetch_row_count",
            ),
            *("model_dump", "model_copy", "model_validate", "model_json_schema"),
        ),
        "`processor` and `get_record_processor` give the cache itself, which answers to their names. There is nothing "
        "to register.",
    ),
    Members(
        "caches.postgres",
        "PostgresCache",
        (
            "host",
            "port",
            "database",
            "username",
            "password",
            "schema_name",
            "paired_destination_name",
        ),
        "The password may be a reference.",
    ),
    Members(
        "caches.snowflake",
        "SnowflakeCache",
        (
            "account",
            "username",
            "password",
            "warehouse",
            "database",
            "role",
            "schema_name",
            "paired_destination_name",
        ),
        "A private key instead of a password, too.",
    ),
    Members(
        "caches.bigquery",
        "BigQueryCache",
        (
            "project_name",
            "dataset_name",
            "database_name",
            "credentials_path",
            "schema_name",
            "paired_destination_name",
        ),
        "As in PyAirbyte.",
    ),
    Members(
        "caches.motherduck",
        "MotherDuckCache",
        ("database", "api_key", "schema_name", "db_path", "paired_destination_name"),
        "As in PyAirbyte.",
    ),
    Members(
        "datasets",
        "CachedDataset",
        (
            *(
                "stream_name",
                "records",
                "column_names",
                "with_filter",
                "to_pandas",
                "to_arrow",
                "to_polars",
            ),
            *("to_sql_table", "to_documents", "__len__", "__iter__", "__eq__", "__hash__"),
        ),
        "`len` counts anew each time.",
    ),
    Members(
        "datasets",
        "LazyDataset",
        ("fetch_all", "close", "to_arrow", "to_pandas"),
        "Read again, it reads again.",
    ),
    Members(
        "records",
        "StreamRecord",
        (
            "from_record_message",
            "__getitem__",
            "__setitem__",
            "__delitem__",
            "__contains__",
            "__eq__",
            "__hash__",
        ),
        "As in PyAirbyte.",
    ),
    Members(
        "records",
        "StreamRecordHandler",
        ("to_index_case",),
        "`index_keys` are those of the JSON Schema.",
    ),
    Members(
        "results",
        "ReadResult",
        (
            *(
                "__getitem__",
                "__contains__",
                "__iter__",
                "__len__",
                "get",
                "keys",
                "items",
                "values",
            ),
            *("get_sql_engine", "processed_records", "streams", "cache"),
        ),
        "When streams fail, the error has the result of the others as `read_result`.",
    ),
    Members(
        "results",
        "WriteResult",
        ("processed_records", "get_state_provider"),
        "What the destination confirmed.",
    ),
    Members(
        "documents",
        "Document",
        ("id", "content", "metadata", "last_modified", "page_content"),
        "As in PyAirbyte.",
    ),
    Members(
        "secrets",
        "SecretString",
        ("is_empty", "is_json", "parse_json"),
        "A `str`; its `repr` is masked, and every object is true.",
    ),
    Members(
        "progress",
        "ProgressTracker",
        ("total_records_read", "total_destination_records_delivered", "elapsed_seconds"),
        "As in PyAirbyte; it is fed by the engine, not by messages.",
    ),
    Members(
        "shared.catalog_providers",
        "CatalogProvider",
        ("stream_names", "configured_catalog", "with_write_strategy", "from_read_result"),
        "As in PyAirbyte.",
    ),
    Members(
        "shared.state_providers",
        "StateProviderBase",
        ("known_stream_names", "to_state_input_file_text", "get_stream_state"),
        "As in PyAirbyte.",
    ),
)

SIGNATURES = {
    "get_available_connectors": "(install_type=None)",
    "get_colab_cache": "(cache_name='default_cache', sub_dir='Airbyte/cache', schema_name='main', table_prefix='', "
    "drive_name='MyDrive', mount_path='/content/drive')",
    "get_default_cache": "()",
    "get_destination": "(name, config=None, *, config_change_callback=None, version=None, use_python=None, "
    "pip_url=None, local_executable=None, docker_image=None, use_host_network=False, install_if_missing=True, "
    "install_root=None, no_executor=False)",
    "get_secret": "(secret_name, /, *, sources=None, default=None, allow_prompt=True, source=None)",
    "get_source": "(name, config=None, *, config_change_callback=None, streams=None, version=None, use_python=None, "
    "pip_url=None, local_executable=None, docker_image=None, use_host_network=False, source_manifest=None, "
    "install_if_missing=True, install_root=None, no_executor=False)",
    "new_local_cache": "(cache_name=None, cache_dir=None, *, cleanup=True)",
    "get_benchmark_source": "(num_records='5e5', *, install_if_missing=True)",
    "destinations.get_noop_destination": "(*, install_if_missing=True)",
    "registry.get_connector_metadata": "(name)",
    "sources.connector.ConnectorSource": "(executor, name, config=None, *, config_change_callback=None, streams=None, "
    "validate=False)",
    "destinations.connector.ConnectorDestination": "(executor, name, config=None, *, config_change_callback=None, "
    "validate=False)",
    "Source.set_config": "(self, config, *, validate=True)",
    "Source.validate_config": "(self, config=None)",
    "Source.print_config_spec": "(self, format='yaml', *, output_file=None, stderr=False)",
    "Source.select_streams": "(self, streams)",
    "Source.set_streams": "(self, streams)",
    "Source.get_configured_catalog": "(self, streams=None, *, force_full_refresh=False)",
    "Source.get_stream_json_schema": "(self, stream_name)",
    "Source.get_records": "(self, stream, *, normalize_field_names=False, prune_undeclared_fields=True)",
    "Source.get_documents": "(self, stream, title_property=None, content_properties=None, metadata_properties=None, *, "
    "render_metadata=False)",
    "Source.get_samples": "(self, streams=None, *, limit=5, on_error='raise')",
    "Source.print_samples": "(self, streams=None, *, limit=5, on_error='log')",
    "Source.set_cursor_key": "(self, stream_name, cursor_key)",
    "Source.set_primary_key": "(self, stream_name, primary_key)",
    "Source.read": "(self, cache=None, *, streams=None, write_strategy='auto', force_full_refresh=False, "
    "skip_validation=False)",
    "Destination.write": "(self, source_data, *, streams=None, cache=None, state_cache=None, write_strategy='auto', "
    "force_full_refresh=False)",
    "DuckDBCache.get_arrow_dataset": "(self, stream_name, *, max_chunk_size=100000)",
    "DuckDBCache.get_pandas_dataframe": "(self, stream_name)",
    "DuckDBCache.execute_sql": "(self, sql)",
    "DuckDBCache.run_sql_query": "(self, sql_query, *, max_records=None)",
    "DuckDBCache.get_state_provider": "(self, source_name, *, refresh=True, destination_name=None)",
    "DuckDBCache.get_state_writer": "(self, source_name, destination_name=None)",
    "DuckDBCache.register_source": "(self, source_name, incoming_source_catalog, stream_names)",
    "CachedDataset": "(cache, stream_name, stream_configuration=None)",
    "CachedDataset.to_arrow": "(self, *, max_chunk_size=100000)",
    "datasets.LazyDataset": "(iterator, *, stream_metadata)",
    "datasets.DatasetBase.to_documents": "(self, title_property=None, content_properties=None, "
    "metadata_properties=None, *, render_metadata=False)",
    "StreamRecord": "(from_dict, *, stream_record_handler, with_internal_columns=True, extracted_at=None)",
    "StreamRecord.from_record_message": "(record_message, *, stream_record_handler)",
    "records.StreamRecordHandler": "(*, json_schema, prune_extra_fields, normalize_keys)",
    "ReadResult": "(*, source_name, processed_streams, cache, progress_tracker)",
    "WriteResult": "(*, destination, source_data, catalog_provider, state_writer, progress_tracker)",
    "progress.ProgressTracker": "(style='auto', *, source, cache, destination, expected_streams=None)",
    "secrets.register_secret_manager": "(secret_manager, *, as_backup=False, replace_existing=False)",
    "secrets.disable_secret_source": "(source)",
    "secrets.is_secret_available": "(secret_name, /)",
    "secrets.GoogleGSMSecretManager": "(project, *, credentials_path=None, credentials_json=None)",
    "secrets.SecretHandle": "(parent, secret_name)",
    "shared.catalog_providers.CatalogProvider": "(configured_catalog)",
    "shared.state_providers.StaticInputState": "(from_state_messages)",
    "shared.state_providers.JoinedStateProvider": "(primary, secondary)",
}
"""How scripts call them; what is ours besides takes a default and comes by keyword."""

ERRORS = {
    "PyAirbyteError": "Exception",
    "AirbyteError": "PyAirbyteError",
    "PyAirbyteInputError": "PyAirbyteError, ValueError",
    "PyAirbyteInternalError": "PyAirbyteError",
    "PyAirbyteNoStreamsSelectedError": "PyAirbyteInputError",
    "PyAirbyteSecretNotFoundError": "PyAirbyteError",
    "PyAirbyteNameNormalizationError": "PyAirbyteError, ValueError",
    "PyAirbyteWarning": "Warning",
    "PyAirbyteDataLossWarning": "PyAirbyteWarning",
    "AirbyteConnectorError": "PyAirbyteError",
    "AirbyteConnectorRegistryError": "AirbyteConnectorError",
    "AirbyteConnectorNotRegisteredError": "AirbyteConnectorRegistryError",
    "AirbyteConnectorInstallationError": "AirbyteConnectorError",
    "AirbyteConnectorNotFoundError": "AirbyteConnectorError",
    "AirbyteConnectorCheckFailedError": "AirbyteConnectorError",
    "AirbyteConnectorConfigurationMissingError": "AirbyteConnectorError",
    "AirbyteConnectorValidationFailedError": "AirbyteConnectorError",
    "AirbyteConnectorMissingSpecError": "AirbyteConnectorError",
    "AirbyteConnectorMissingCatalogError": "AirbyteConnectorError",
    "AirbyteConnectorReadError": "AirbyteConnectorError",
    "AirbyteConnectorWriteError": "AirbyteConnectorError",
    "AirbyteConnectorFailedError": "AirbyteConnectorError",
    "AirbyteStreamNotFoundError": "AirbyteConnectorError, PyAirbyteInputError",
    "AirbyteStateNotFoundError": "AirbyteConnectorError, KeyError",
}
"""Each error of `etl_assets.exceptions`, and what it can be caught as besides."""

ERROR_ATTRIBUTES = (
    *("message", "guidance", "help_url", "context", "input_value", "connector_name", "stream_name"),
    *("available_streams", "log_text", "original_exception"),
)

SUITE = (
    "The tests in PyAirbyte's repository (its `main` of August 2026) were run with `airbyte` standing for "
    "`etl_assets`: the unit tests, and those of the integration tests that need neither cloud nor Docker nor network, "
    "with a PostgreSQL that was there in the place of a container. Where a test of behaviour reaches for a name that "
    "begins with `_`, a stand-in of a line or two gave it what it wanted. At first 51 tests of behaviour failed; now "
    "those do that the table names. Of 171 unit tests (without the modules for the "
    "cloud, `mcp` and `cli`) 122 pass and 49 fail, of 78 integration tests 61 pass and 17 fail."
)
LEFT = {
    "cloud, `mcp`, `agents`, `cli`": "They need an account at Airbyte Cloud, or are PyAirbyte's own program.",
    "telemetry": "There is none.",
    "Docker, BigQuery, Snowflake, Google's secrets": "They need a daemon, or an account.",
    "the registry's URL and versions, `source_manifest=True`": "They ask the network; a shipped index has the names.",
    "`_processors.sql`, `_executors`, `_util`, attributes that begin with `_`": "Internals: there is no SQL processor, "
    "and an executor starts nothing before it is asked.",
    "`*.jsonl.gz` files below `cache_dir`": "Batches wait in memory and in Arrow files, which are always removed.",
    "`get_source` fails where the connector cannot be installed": "It installs at its first use, never where it is "
    "made: definitions are loaded often, and must not wait. The error is the same, "
    "`AirbyteConnectorInstallationError`.",
    "`.venv-<name>` after `install()`": "An environment is named after what was asked for, too, so that two "
    "versions live side by side. Those that PyAirbyte has made are used, and never removed.",
    "no error whose name begins with neither `Airbyte` nor `PyAirbyte`": "Our own names stand beside them.",
    "`ProgressTracker` fed with messages, its batches and `_get_status_message`": "The engine feeds it.",
    "a live display where only standard output is a terminal": "Progress is written to standard error.",
    "`Source(executor=Mock())`, `Source._discover`": "An executor is one of ours. Keys are set by `set_cursor_keys` "
    "and the like, or `Source(..., primary_key_overrides=)`, which tests of our own show.",
}

BEHAVIOURS = {
    "`read()` with nothing selected": "reads all streams, as PyAirbyte's first example says",
    "streams selected before there is a config": "are selected when there is one; a line says so",
    "an incremental `read()`": "says which streams are, and how to read all of their records",
    "`get_records()`": "reads from the beginning; no state is used or moved",
    "`get_configured_catalog()` of a text that is not `*`": "is an `InputError`",
    '`version="latest"`': "is the newest when it is installed; another version is the tag of an image",
    '`use_python="3.11"`': "is the interpreter of the connector's environment; True for this one, False for Docker",
    "`source_manifest`": "is a document, a path or a URL; True is an error that says what to give instead",
    "two ways to run a connector at once": "are an `InputError`",
    "state": "goes by the connector's name (or `source_name=`) and the place of the tables; a changed config goes on",
    "a stream that fails": "leaves the others in the cache",
    "`read()` of declared fields": "leaves others out and logs which, but for `prune_undeclared_fields=False`",
    "objects and arrays": "come back as dict and list, also by `to_pandas` and `run_sql_query`; Arrow has JSON",
    "PyAirbyte's own cache": "is taken over by the first `read()`, with its states; any other table by `adopt=True`",
    "`get_sql_engine()` of a DuckDB file": "is ours, which reflects tables; close what else the script has open",
    "types of columns": "widen where the values ask for it",
    'arguments of a call that there are not, or of another type, such as `read(stream=...)` or `limit="5"`': "are an "
    "`ArgumentTypeError` that says what to give: an `InputError` and a `TypeError`",
    '`cache["nope"]`, `result["nope"]`': "is a `StreamKeyError` that names the streams there are: a `KeyError` and an "
    "`AirbyteStreamNotFoundError`",
    "options of a cache that there are not": "have no effect, as in PyAirbyte, and are warned of",
    "connectors that PyAirbyte has installed (`.venv-<name>`)": "are run from there, where no version is asked for and "
    "none is installed here: below `install_root`, `AIRBYTE_INSTALL_DIR`, `AIRBYTE_PROJECT_DIR`, or the working "
    "directory",
    "`cache.processor`": "has `get_sql_connection()`, `catalog_provider` (of what was read through this object), "
    "`sql_config`, `fetch_row_count`; nothing whose name begins with `_`",
    "`import rich`": "imports no `rich.markdown`, as `import airbyte` does beside: a script imports it itself",
    "telemetry": "there is none",
}

INTRODUCTION = """# PyAirbyte's names

Made by `python -m tests.api.names` of the table that the tests walk: what stands here, holds. `import etl_assets as ab`
in place of `import airbyte as ab`; [in scripts and notebooks](scripts.md) shows how it is used.
"""


def page() -> str:
    """Give `docs/pyairbyte.md`."""
    lines = [INTRODUCTION, "| import from `etl_assets` | names | here |", "| --- | --- | --- |"]
    modules = ", ".join(f"`{name}`" for name in MODULES)
    lines.append(f"| the top, as modules | {modules} | As in PyAirbyte. |")
    for row in ROWS:
        where = ", ".join("the top" if not one else f"`{one}`" for one in row.where)
        lines.append(f"| {where} | {', '.join(f'`{name}`' for name in row.names)} | {row.ours} |")
    gone = ", ".join(f"`{name}`" for name in NOT_TAKEN_OVER)
    lines.append(f"| the top, as modules | {gone} | Not taken over: importing them says why. |")
    lines.append(
        "| `cli` | PyAirbyte's commands | Not taken over: it is the command line of this library. |"
    )
    lines += [
        "",
        "Every other public name of PyAirbyte 0.71.3 is where it has it, but for these:",
        "",
    ]
    lines += ["| not taken over | why |", "| --- | --- |"]
    for why in dict.fromkeys(REASONS.values()):
        patterns = ", ".join(f"`{pattern}`" for pattern, own in REASONS.items() if own == why)
        lines.append(f"| {patterns} | {why} |")
    lines += ["", "## Members", "", "| of | names | here |", "| --- | --- | --- |"]
    for members in MEMBERS:
        names = ", ".join(f"`{name}`" for name in members.names)
        lines.append(f"| `{members.cls}` | {names} | {members.ours} |")
    lines.append(
        "| a cache | `paired_destination_config`, `paired_destination_config_class` | Not taken over: they are types "
        "of Airbyte Cloud's client. |"
    )
    lines += [
        "",
        "## Errors and warnings",
        "",
        "In `etl_assets.exceptions`, as other names of our own tree.",
    ]
    lines += ["", "| name | is ours | can be caught as |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | `{_own(name)}` | {_code(bases)} |" for name, bases in ERRORS.items()]
    lines += ["", f"Each error has {', '.join(f'`{name}`' for name in ERROR_ATTRIBUTES)}."]
    lines += ["", "## Its own test suite", "", SUITE, "", "| left | why |", "| --- | --- |"]
    lines += [f"| {what} | {why} |" for what, why in LEFT.items()]
    lines += ["", "## What is easily missed", "", "| | here |", "| --- | --- |"]
    lines += [f"| {what} | {ours} |" for what, ours in BEHAVIOURS.items()]
    return "\n".join(lines) + "\n"


def _own(name: str) -> str:
    from etl_assets import exceptions

    return str(getattr(exceptions, name).__name__)


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
