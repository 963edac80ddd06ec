"""`mage_integrations.sources.query`: what a query says beside the columns it filters by."""

from collections.abc import Mapping
from typing import Any

SYSTEM_QUERY_END_DATE = "_end_date"
SYSTEM_QUERY_EXECUTION_DATE = "_execution_date"
SYSTEM_QUERY_EXECUTION_PARTITION = "_execution_partition"
SYSTEM_QUERY_START_DATE = "_start_date"


def get_end_date(query: Mapping[str, Any]) -> Any:
    """Return the end of the span of time that is asked for, or None."""
    return query.get(SYSTEM_QUERY_END_DATE)


def get_execution_date(query: Mapping[str, Any]) -> Any:
    """Return the time at which the pipeline runs, or None."""
    return query.get(SYSTEM_QUERY_EXECUTION_DATE)


def get_execution_partition(query: Mapping[str, Any]) -> Any:
    """Return the pipeline's partition, or None."""
    return query.get(SYSTEM_QUERY_EXECUTION_PARTITION)


def get_start_date(query: Mapping[str, Any]) -> Any:
    """Return the beginning of the span of time that is asked for, or None."""
    return query.get(SYSTEM_QUERY_START_DATE)
