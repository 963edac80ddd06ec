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
        "Nothing is installed or connected to before the first read. It also takes Singer taps, and `source_name=` names the state.",
    ),
    Row(
        ("", "sources", "sources.util"),
        ("get_benchmark_source",),
        "A built-in source of generated rows, which needs no Docker.",
    ),
    Row(
        ("", "sources", "sources.base", "sources.util"),
        ("Source",),
        "The base class of every source. `Source(executor, name)` returns the source that runs this connector.",
    ),
    Row(
        ("", "destinations", "destinations.util"),
        ("get_destination",),
        "Nothing is installed or connected to before the first write. It also takes Singer targets.",
    ),
    Row(
        ("", "destinations", "destinations.util"),
        ("get_noop_destination",),
        "A built-in destination that converts and counts records and stores nothing. It needs no Docker.",
    ),
    Row(
        ("", "destinations", "destinations.base", "destinations.util"),
        ("Destination",),
        "The base class of every destination. `Destination(executor, name)` returns the one that runs this connector.",
    ),
    Row(
        ("", "caches", "caches.util"),
        ("get_default_cache", "new_local_cache"),
        "They return a DuckDB file below `.cache`, as in PyAirbyte.",
    ),
    Row(
        ("", "caches", "caches.util", "caches.colab"),
        ("get_colab_cache",),
        "It returns a DuckDB file in Google Drive, and raises an `ImportError` outside of Colab.",
    ),
    Row(
        ("", "caches", "caches.duckdb"),
        ("DuckDBCache",),
        "The file is opened when something is read or written, never when the object is created.",
    ),
    Row(("caches", "caches.postgres"), ("PostgresCache",), "As in PyAirbyte."),
    Row(
        ("", "caches", "caches.bigquery"),
        ("BigQueryCache",),
        "As in PyAirbyte. The tests do not use Google's servers.",
    ),
    Row(
        ("caches", "caches.snowflake"),
        ("SnowflakeCache",),
        "As in PyAirbyte. The tests do not use Snowflake's servers.",
    ),
    Row(
        ("caches", "caches.motherduck"),
        ("MotherDuckCache",),
        "As in PyAirbyte. The tests do not use MotherDuck's servers.",
    ),
    Row(("caches",), ("MySQLCache", "SqliteCache"), "PyAirbyte does not have these caches."),
    Row(
        ("caches", "caches.base"),
        ("CacheBase",),
        "A pydantic model that owns a destination. The destination writes, and the cache reads its tables.",
    ),
    Row(("shared.sql_processor",), ("SqlConfig",), "The same class as `CacheBase`."),
    Row(
        ("", "datasets"),
        ("CachedDataset",),
        "All rows of a table. What `to_arrow` returns can be read many times and does not hold the rows in memory.",
    ),
    Row(
        ("datasets",),
        ("DatasetBase", "SQLDataset", "LazyDataset", "InMemoryDataset"),
        "Each converts to pandas, Arrow, polars or documents. A filter applies to all of them.",
    ),
    Row(
        ("", "records"),
        ("StreamRecord",),
        "Keys are found in any case. Two keys that differ only in case are an error. A record that contains lists can be hashed.",
    ),
    Row(("records",), ("StreamRecordHandler",), "As in PyAirbyte."),
    Row(
        ("", "results"),
        ("ReadResult", "WriteResult"),
        "They have what PyAirbyte's have. In addition, `results` holds what the sync of each stream did, and only records that the destination confirmed count as written.",
    ),
    Row(
        ("strategies",),
        ("WriteStrategy", "WriteMethod"),
        '`UPSERT` is an alias of `MERGE`, and `"upsert"` is its old spelling. `REPLACE` always reads everything.',
    ),
    Row(
        ("", "secrets"),
        ("SecretSourceEnum", "get_secret"),
        "`default=` is returned if the secret is not found. An empty secret counts as missing. A run of Dagster never prompts.",
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
        "Secrets are masked in every log, error and event, and also in pickles and pydantic dumps.",
    ),
    Row(
        ("secrets",),
        ("register_secret_manager", "disable_secret_source", "is_secret_available"),
        "As in PyAirbyte.",
    ),
    Row(
        ("documents",),
        ("Document",),
        "Its `id` is made of the primary key. Records may have different fields.",
    ),
    Row(
        ("", "registry", "sources.registry"),
        ("get_available_connectors",),
        "It lists the names of an index that comes with the library and of installed packages, without using the network.",
    ),
    Row(
        ("registry", "sources.registry"),
        ("InstallType", "Language", "ConnectorMetadata", "get_connector_metadata"),
        "They hold what the index says. It does not know versions.",
    ),
    Row(
        ("progress",),
        ("ProgressTracker", "ProgressStyle"),
        "Progress is shown live on a terminal and in a notebook, and as plain lines elsewhere. "
        "`ETL_ASSETS_PROGRESS` chooses the style. There is no telemetry and no log file.",
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
        "If it raises, the sync fails, so that a new token is not lost.",
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
    Row(("types",), ("SQLTypeConverter",), "It converts JSON Schema types to SQL types."),
    Row(("version",), ("get_version",), "It returns the version of this library."),
    Row(
        ("logs",),
        ("get_global_file_logger", "warn_once"),
        "They use Python's `logging`, below the logger `etl_assets`.",
    ),
    Row(("_connector_base",), ("ConnectorBase",), "The base class of `Source` and `Destination`."),
    Row(
        ("_writers.base",),
        ("AirbyteWriterInterface",),
        "Every destination and every cache is an instance of it.",
    ),
    Row(("_message_iterators",), ("AirbyteMessageIterator",), "Its messages are dicts."),
    Row(("_executors.base",), ("Executor",), "An executor starts a connector."),
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
        "`name` is the name that was passed to `get_source` (`source-faker`). Asset keys and schemas spell it `source_faker`. "
        "The connector is asked only once for its specification and catalog. `to_assets` creates Dagster assets.",
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
        "Without `cache=`, the records of a source are written directly. From a read result, records that were already "
        "written are left out.",
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
        "`processor` and `get_record_processor` return the cache itself, which has their methods. `register_source` has "
        "nothing to do.",
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
        "The password may be a reference to a secret.",
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
        "It also takes a private key instead of a password.",
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
        "`len()` counts the rows each time it is called.",
    ),
    Members(
        "datasets",
        "LazyDataset",
        ("fetch_all", "close", "to_arrow", "to_pandas"),
        "A dataset of `get_records` reads the source again each time it is iterated.",
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
        "`index_keys` are the keys of the JSON Schema.",
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
        "If some streams fail, the error has the result of the others as `read_result`.",
    ),
    Members(
        "results",
        "WriteResult",
        ("processed_records", "get_state_provider"),
        "Both tell only what the destination confirmed.",
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
        "A `str` whose `repr` is masked. `bool()` of it is always true.",
    ),
    Members(
        "progress",
        "ProgressTracker",
        ("total_records_read", "total_destination_records_delivered", "elapsed_seconds"),
        "As in PyAirbyte, but the engine updates it, not the messages.",
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
"""How scripts call them. An additional argument of ours has a default and is passed by keyword."""

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
"""Each error of `etl_assets.exceptions`, and what it can be caught as."""

ERROR_ATTRIBUTES = (
    *("message", "guidance", "help_url", "context", "input_value", "connector_name", "stream_name"),
    *("available_streams", "log_text", "original_exception"),
)

SUITE = (
    "The tests in PyAirbyte's repository (its `main` branch of August 2026) were run with `etl_assets` in the place of "
    "`airbyte`: the unit tests, and the integration tests that need no cloud, Docker or network, with a running "
    "PostgreSQL instead of a container. Where a test of behaviour uses a name that begins with `_`, a stand-in of one or "
    "two lines provides it. At first, 51 tests of behaviour failed. Of 171 unit tests (without the modules for the "
    "cloud, `mcp` and `cli`), 122 pass and 49 fail. Of 78 integration tests, 61 pass and 17 fail. The table says why "
    "the rest fail."
)
LEFT = {
    "cloud, `mcp`, `agents`, `cli`": "They need an account at Airbyte Cloud, or test PyAirbyte's own command line.",
    "telemetry": "The library sends none.",
    "Docker, BigQuery, Snowflake, Google's secrets": "They need a Docker daemon or an account.",
    "the registry's URL and versions, `source_manifest=True`": "They ask the network. Here the names come from an "
    "index that is part of the library.",
    "`_processors.sql`, `_executors`, `_util`, attributes that begin with `_`": "They are PyAirbyte's internals. There "
    "is no SQL processor, and an executor starts nothing before it is used.",
    "`*.jsonl.gz` files below `cache_dir`": "Batches wait in memory and in Arrow files, which are always removed.",
    "`get_source` fails if the connector cannot be installed": "A connector is installed at its first use, because "
    "Dagster loads definitions often and must not wait. The error is the same, `AirbyteConnectorInstallationError`.",
    "`.venv-<name>` after `install()`": "The name of an environment also depends on what was asked for, such as a version, so "
    "that two versions can be installed. Environments that PyAirbyte created are used and never removed.",
    "every name of an error begins with `Airbyte` or `PyAirbyte`": "The library's own names are in the same module.",
    "`ProgressTracker` fed with messages, its batches and `_get_status_message`": "The engine updates the progress.",
    "a live display if only standard output is a terminal": "Progress is written to standard error.",
    "`Source(executor=Mock())`, `Source._discover`": "An executor must be one of this library's. Keys are set with "
    "`set_cursor_keys`, `set_primary_keys` or `Source(..., primary_key_overrides=)`; the library's own tests cover that.",
}

BEHAVIOURS = {
    "`read()` with no stream selected": "It reads all streams, as in PyAirbyte's first example.",
    "streams selected before there is a config": "They are selected once there is one. A log line says so.",
    "an incremental `read()`": "It logs which streams are incremental, and how to read all of their records.",
    "`get_records()`": "It reads from the beginning, and neither uses nor changes the state.",
    "`get_configured_catalog()` of a string other than `*`": "It raises an `InputError`.",
    '`version="latest"`': "It installs the newest version. With a Docker image, any other version is its tag.",
    '`use_python="3.11"`': "It chooses the interpreter of the connector's environment. True means the current "
    "interpreter, and False means Docker.",
    "`source_manifest`": "It takes a document, a path or a URL. True raises an error that says what to pass instead.",
    "two ways to run a connector at once": "They raise an `InputError`.",
    "state": "It is stored by the connector's name (or `source_name=`) and the place of the tables. It stays valid if "
    "the config changes.",
    "a stream that fails": "The other streams are still in the cache.",
    "`read()` of declared fields": "Undeclared fields are left out, and a log line names them. Pass "
    "`prune_undeclared_fields=False` to keep them.",
    "objects and arrays": "They are returned as dict and list, also by `to_pandas` and `run_sql_query`. In Arrow they "
    "are JSON.",
    "PyAirbyte's own cache": "The first `read()` takes it over, including its states. Any other table needs "
    "`adopt=True`.",
    "`get_sql_engine()` of a DuckDB file": "It returns an engine of this library, which can reflect tables. Close other "
    "connections of the script to the file first.",
    "types of columns": "They widen if the values need it.",
    'unknown arguments, or arguments of a wrong type, such as `read(stream=...)` or `limit="5"`': "They raise an "
    "`ArgumentTypeError` that says what to pass. It is an `InputError` and a `TypeError`.",
    '`cache["nope"]`, `result["nope"]`': "They raise a `StreamKeyError` that names the streams there are. It is a "
    "`KeyError` and an `AirbyteStreamNotFoundError`.",
    "unknown options of a cache": "They have no effect, as in PyAirbyte, but there is a warning.",
    "connectors that PyAirbyte has installed (`.venv-<name>`)": "They are run from there if no version is asked for and "
    "this library has not installed the connector. They are looked for in `install_root`, `AIRBYTE_INSTALL_DIR`, "
    "`AIRBYTE_PROJECT_DIR` and the working directory.",
    "`cache.processor`": "It has `get_sql_connection()`, `catalog_provider` (of what was read through this object), "
    "`sql_config` and `fetch_row_count`, but no name that begins with `_`.",
    "`import rich`": "`import airbyte` also imports `rich.markdown`; `import etl_assets` does not. A script has to "
    "import it itself.",
    "telemetry": "The library sends none.",
}

INTRODUCTION = """# PyAirbyte's names

A script written for PyAirbyte needs one change: `import etl_assets as ab` instead of `import airbyte as ab`. This page lists
PyAirbyte's public names and what they do here. [In scripts and notebooks](scripts.md) shows how to use them.

`python -m tests.api.names` generates this page from a table that the tests check row by row.

## Modules, classes and functions
"""


def page() -> str:
    """Return `docs/pyairbyte.md`."""
    lines = [
        INTRODUCTION,
        "| Import from `etl_assets` | Names | What they do here |",
        "| --- | --- | --- |",
    ]
    modules = ", ".join(f"`{name}`" for name in MODULES)
    lines.append(f"| the top, as modules | {modules} | As in PyAirbyte. |")
    for row in ROWS:
        where = ", ".join("the top" if not one else f"`{one}`" for one in row.where)
        lines.append(f"| {where} | {', '.join(f'`{name}`' for name in row.names)} | {row.ours} |")
    gone = ", ".join(f"`{name}`" for name in NOT_TAKEN_OVER)
    lines.append(
        f"| the top, as modules | {gone} | They are not available. Importing them raises an error that says why. |"
    )
    lines.append(
        "| `cli` | PyAirbyte's commands | They are not available: this is the command line of this library. |"
    )
    lines += [
        "",
        "Every other public name of PyAirbyte 0.71.3 is in the same module as there, except these:",
        "",
    ]
    lines += ["| Not available | Why |", "| --- | --- |"]
    for why in dict.fromkeys(REASONS.values()):
        patterns = ", ".join(f"`{pattern}`" for pattern, own in REASONS.items() if own == why)
        lines.append(f"| {patterns} | {why} |")
    lines += ["", "## Members", "", "| Of | Names | What they do here |", "| --- | --- | --- |"]
    for members in MEMBERS:
        names = ", ".join(f"`{name}`" for name in members.names)
        lines.append(f"| `{members.cls}` | {names} | {members.ours} |")
    lines.append(
        "| a cache | `paired_destination_config`, `paired_destination_config_class` | They are not available, because "
        "they are types of Airbyte Cloud's client. |"
    )
    lines += [
        "",
        "## Errors and warnings",
        "",
        "They are in `etl_assets.exceptions`, as aliases of the classes on the page [Errors](errors.md).",
    ]
    lines += ["", "| Name | Alias of | Can be caught as |", "| --- | --- | --- |"]
    lines += [f"| `{name}` | `{_own(name)}` | {_code(bases)} |" for name, bases in ERRORS.items()]
    lines += ["", f"Each error has the attributes {_code(', '.join(ERROR_ATTRIBUTES))}."]
    lines += [
        "",
        "## PyAirbyte's test suite",
        "",
        SUITE,
        "",
        "| Tests of | Why they fail |",
        "| --- | --- |",
    ]
    lines += [f"| {what} | {why} |" for what, why in LEFT.items()]
    lines += ["", "## Differences in behaviour", "", "| What | Here |", "| --- | --- |"]
    lines += [f"| {what} | {ours} |" for what, ours in BEHAVIOURS.items()]
    return "\n".join(lines) + "\n"


def _own(name: str) -> str:
    from etl_assets import exceptions

    return str(getattr(exceptions, name).__name__)


def _code(names: str) -> str:
    return ", ".join(f"`{name}`" for name in names.split(", "))


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
