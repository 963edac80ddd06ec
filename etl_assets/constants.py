"""Names of columns and sizes that scripts written for PyAirbyte refer to."""

AB_RAW_ID_COLUMN = "_airbyte_raw_id"
"""A record's own id, of records that are given one by one."""

AB_EXTRACTED_AT_COLUMN = "_airbyte_extracted_at"
"""When a record was read."""

AB_META_COLUMN = "_airbyte_meta"
"""What a connector has said about a record, such as values it changed."""

AB_INTERNAL_COLUMNS = frozenset({AB_RAW_ID_COLUMN, AB_EXTRACTED_AT_COLUMN, AB_META_COLUMN})

DEFAULT_ARROW_MAX_CHUNK_SIZE = 100_000
"""Rows of a batch of an Arrow dataset."""
