"""The public names of PyAirbyte 0.71.3: of every module those in its `__all__`, else those defined there.

Written by a program that walks the installed package; only names, and nothing of its code.
"""

TREE: dict[str, str] = {
    "": (
        "BigQueryCache CachedDataset Destination DuckDBCache ReadResult SecretSourceEnum Source "
        "StreamRecord WriteResult agents caches callbacks cli cloud constants datasets destinations "
        "documents exceptions experimental get_available_connectors get_colab_cache get_default_cache "
        "get_destination get_secret get_source logs mcp new_local_cache records registry results secrets "
        "sources"
    ),
    "caches": (
        "BigQueryCache CacheBase DuckDBCache MotherDuckCache PostgresCache SnowflakeCache base bigquery "
        "duckdb get_default_cache motherduck new_local_cache postgres snowflake util"
    ),
    "caches.base": "CacheBase DEFAULT_ARROW_MAX_CHUNK_SIZE TEMP_FILE_CLEANUP",
    "caches.bigquery": "BigQueryCache BigQueryConfig",
    "caches.duckdb": "DuckDBCache DuckDBConfig",
    "caches.generic": "GenericSQLCacheConfig",
    "caches.motherduck": "MotherDuckCache MotherDuckConfig",
    "caches.postgres": "PostgresCache PostgresConfig",
    "caches.snowflake": "SnowflakeCache SnowflakeConfig",
    "caches.util": "DEFAULT_GOOGLE_DRIVE_MOUNT_PATH get_colab_cache get_default_cache new_local_cache",
    "callbacks": "",
    "constants": (
        "AB_EXTRACTED_AT_COLUMN AB_INTERNAL_COLUMNS AB_META_COLUMN AB_RAW_ID_COLUMN "
        "AGENTS_API_ROOT_ENV_VAR AIRBYTE_OFFLINE_MODE AIRBYTE_PRINT_FULL_ERROR_LOGS CLOUD_API_ROOT "
        "CLOUD_API_ROOT_ENV_VAR CLOUD_BEARER_TOKEN_ENV_VAR CLOUD_CLIENT_ID_ENV_VAR "
        "CLOUD_CLIENT_SECRET_ENV_VAR CLOUD_CONFIG_API_ROOT CLOUD_CONFIG_API_ROOT_ENV_VAR "
        "CLOUD_ORGANIZATION_ID_ENV_VAR CLOUD_WORKSPACE_ID_ENV_VAR DEBUG_MODE DEFAULT_ARROW_MAX_CHUNK_SIZE "
        "DEFAULT_CACHE_SCHEMA_NAME DEFAULT_GOOGLE_DRIVE_MOUNT_PATH MCP_BEARER_TOKEN_HEADER "
        "MCP_CONFIG_API_URL MCP_CONFIG_BEARER_TOKEN MCP_CONFIG_CLIENT_ID MCP_CONFIG_CLIENT_SECRET "
        "MCP_CONFIG_CONFIG_API_URL MCP_CONFIG_EXCLUDE_MODULES MCP_CONFIG_INCLUDE_MODULES "
        "MCP_CONFIG_INSIDERS MCP_CONFIG_ORGANIZATION_ID MCP_CONFIG_READONLY_MODE MCP_CONFIG_WORKSPACE_ID "
        "MCP_DOMAINS_DISABLED_ENV_VAR MCP_DOMAINS_ENV_VAR MCP_EXTENSIONS_HEADER MCP_INSIDERS_ENV_VAR "
        "MCP_INSIDERS_HEADER MCP_INSIDERS_MODULES MCP_ORGANIZATION_ID_HEADER MCP_READONLY_MODE_ENV_VAR "
        "MCP_TRUSTED_EXECUTION_ENV_VAR MCP_WORKSPACE_ID_HEADER NO_UV SECRETS_HYDRATION_PREFIX "
        "TEMP_DIR_OVERRIDE TEMP_FILE_CLEANUP is_hosted_mcp_mode set_hosted_mcp_mode"
    ),
    "datasets": "CachedDataset DatasetBase DatasetMap LazyDataset SQLDataset",
    "destinations": "Destination get_destination get_noop_destination util",
    "destinations.base": "Destination",
    "destinations.util": "get_destination get_noop_destination",
    "documents": "Document",
    "exceptions": (
        "AIRBYTE_PRINT_FULL_ERROR_LOGS AirbyteAgentsUnavailableError AirbyteConnectionError "
        "AirbyteConnectionSyncActiveError AirbyteConnectionSyncError AirbyteConnectionSyncTimeoutError "
        "AirbyteConnectorCheckFailedError AirbyteConnectorConfigurationMissingError "
        "AirbyteConnectorDiscoverFailedError AirbyteConnectorError "
        "AirbyteConnectorExecutableNotFoundError AirbyteConnectorFailedError "
        "AirbyteConnectorInstallationError AirbyteConnectorMissingCatalogError "
        "AirbyteConnectorMissingSpecError AirbyteConnectorNotPyPiPublishedError "
        "AirbyteConnectorNotRegisteredError AirbyteConnectorReadError AirbyteConnectorRegistryError "
        "AirbyteConnectorSpecFailedError AirbyteConnectorValidationFailedError AirbyteConnectorWriteError "
        "AirbyteDeferredSetupError AirbyteDuplicateResourcesError AirbyteError "
        "AirbyteExperimentalFeatureWarning AirbyteMCPError AirbyteMissingResourceError "
        "AirbyteMissingWorkspaceContextError AirbyteMultipleResourcesError AirbyteNoCloudCredentialsError "
        "AirbyteNoDataFromConnectorError AirbyteStateNotFoundError AirbyteStreamNotFoundError "
        "AirbyteSubprocessError AirbyteSubprocessFailedError AirbyteTrustedExecutionRequiredError "
        "AirbyteWorkspaceMismatchError AirbyteWorkspaceNotEmptyError CLOUD_BEARER_TOKEN_ENV_VAR "
        "CLOUD_CLIENT_ID_ENV_VAR CLOUD_CLIENT_SECRET_ENV_VAR DOCS_URL DOCS_URL_BASE "
        "MCP_BEARER_TOKEN_HEADER NEW_ISSUE_URL PyAirbyteCacheError PyAirbyteCacheTableValidationError "
        "PyAirbyteDataLossWarning PyAirbyteError PyAirbyteInputError PyAirbyteInternalError "
        "PyAirbyteNameNormalizationError PyAirbyteNoStreamsSelectedError PyAirbyteSecretNotFoundError "
        "PyAirbyteWarning VERTICAL_SEPARATOR"
    ),
    "experimental": "get_source",
    "logs": (
        "AIRBYTE_STRUCTURED_LOGGING get_global_file_logger get_global_stats_log_path "
        "get_global_stats_logger new_passthrough_file_logger warn_once"
    ),
    "progress": (
        "DEFAULT_REFRESHES_PER_SECOND HORIZONTAL_LINE IS_NOTEBOOK IS_REPL MAX_ITEMIZED_STREAMS "
        "MAX_UPDATE_FREQUENCY ProgressStyle ProgressTracker TIME_TO_FIRST_RECORD_THRESHOLD_SECONDS "
        "ipy_display"
    ),
    "records": (
        "AB_EXTRACTED_AT_COLUMN AB_INTERNAL_COLUMNS AB_META_COLUMN AB_RAW_ID_COLUMN StreamRecord StreamRecordHandler"
    ),
    "registry": (
        "AIRBYTE_OFFLINE_MODE ApiDocsUrl ConnectorMetadata ConnectorVersionInfo InstallType Language "
        "get_available_connectors get_connector_api_docs_urls get_connector_metadata "
        "get_connector_version_history"
    ),
    "results": "ReadResult WriteResult",
    "secrets": (
        "ColabSecretManager CustomSecretManager DotenvSecretManager EnvVarSecretManager "
        "GoogleGSMSecretManager SecretHandle SecretManager SecretSourceEnum SecretString SecretsPrompt "
        "base config custom disable_secret_source env_vars get_secret google_colab google_gsm prompt "
        "register_secret_manager util"
    ),
    "secrets.base": "SecretHandle SecretManager SecretSourceEnum SecretString",
    "secrets.config": "clear_secret_sources disable_secret_source register_secret_manager",
    "secrets.custom": "CustomSecretManager",
    "secrets.env_vars": "DotenvSecretManager EnvVarSecretManager",
    "secrets.google_colab": "ColabSecretManager",
    "secrets.google_gsm": "GSMSecretHandle GoogleGSMSecretManager",
    "secrets.hydration": (
        "AIRBYTE_OFFLINE_MODE GLOBAL_MASK_KEYS_URL SECRETS_HYDRATION_PREFIX deep_update "
        "detect_hardcoded_secrets hydrate_secrets"
    ),
    "secrets.prompt": "SecretsPrompt",
    "secrets.util": "SECRETS_HYDRATION_PREFIX get_secret is_secret_available try_get_secret",
    "shared": "SqlProcessorBase",
    "shared.catalog_providers": "CatalogProvider",
    "shared.sql_processor": (
        "AB_EXTRACTED_AT_COLUMN AB_META_COLUMN AB_RAW_ID_COLUMN ColumnStatistics DEBUG_MODE "
        "RecordDedupeMode SQLRuntimeError SqlConfig SqlProcessorBase TableStatistics"
    ),
    "shared.state_providers": "JoinedStateProvider StateProviderBase StaticInputState",
    "shared.state_writers": "NoOpStateWriter StateWriterBase StdOutStateWriter",
    "sources": (
        "ConnectorMetadata Source base get_available_connectors get_benchmark_source "
        "get_connector_metadata get_source registry util"
    ),
    "sources.base": "Source",
    "sources.registry": "ConnectorMetadata InstallType Language get_available_connectors get_connector_metadata",
    "sources.util": "get_benchmark_source get_source",
    "strategies": "WriteMethod WriteStrategy",
    "types": "CONVERSION_MAP SQLTypeConversionError SQLTypeConverter",
    "validate": "NO_UV full_tests install_only_test run validate",
    "version": "airbyte_version get_version",
}
