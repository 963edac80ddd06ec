"""Names of columns and sizes that scripts written for PyAirbyte refer to."""

import os
from pathlib import Path

AB_RAW_ID_COLUMN = "_airbyte_raw_id"
"""A record's own id, of records that are given one by one."""

AB_EXTRACTED_AT_COLUMN = "_airbyte_extracted_at"
"""When a record was read."""

AB_META_COLUMN = "_airbyte_meta"
"""What a connector has said about a record, such as values it changed."""

AB_INTERNAL_COLUMNS = frozenset({AB_RAW_ID_COLUMN, AB_EXTRACTED_AT_COLUMN, AB_META_COLUMN})

DEFAULT_ARROW_MAX_CHUNK_SIZE = 100_000
"""Rows of a batch of an Arrow dataset."""

DEBUG_MODE = False
DEFAULT_CACHE_SCHEMA_NAME = "airbyte_raw"
"""The schema of caches in Snowflake and BigQuery."""

DEFAULT_GOOGLE_DRIVE_MOUNT_PATH = "/content/drive"
SECRETS_HYDRATION_PREFIX = "secret_reference::"
TEMP_FILE_CLEANUP = True
"""Files that batches wait in are always removed."""

TEMP_DIR_OVERRIDE: Path | None = None
"""Temporary files are where Python's `tempfile` has them; a cache's are in its `cache_dir`."""


def _says_yes(variable: str) -> bool:
    return os.environ.get(variable, "").strip().lower() in {"1", "true", "t", "yes", "y", "on"}


AIRBYTE_OFFLINE_MODE = True
"""No registry is ever asked."""

AIRBYTE_PRINT_FULL_ERROR_LOGS = False
NO_UV = _says_yes("AIRBYTE_NO_UV")
"""Whether the environment of this process asks for installations without uv."""
