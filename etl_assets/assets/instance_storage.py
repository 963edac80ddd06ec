"""Whether the storage of the Dagster instance can take the events of a run."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from etl_assets.exceptions import ConfigError

FILE = "dagster.yaml"


def check_driver() -> None:
    """Check the driver with which Dagster writes its events into PostgreSQL.

    Only the instance's file is read, and no connection is made. Without `DAGSTER_HOME` it is the
    one in the working directory, as for Dagster's own commands.

    Raises:
        ConfigError: It is psycopg 3: `dagster-postgres` sends a NOTIFY with a bound value, which
            that driver leaves to the server, and the server refuses.
    """
    from sqlalchemy import make_url

    path = Path(os.environ.get("DAGSTER_HOME") or ".") / FILE
    if not path.is_file():
        return
    for address in _addresses(yaml.safe_load(path.read_text(encoding="utf-8")) or {}):
        if make_url(address).get_dialect().driver == "psycopg":
            raise ConfigError(
                "Dagster would write its events into PostgreSQL with psycopg 3, and each of them "
                "would fail.",
                hint="Name the driver: `postgresql+psycopg2://` in `postgres_url`, or as the "
                "`scheme` of `postgres_db`.",
            )


def _addresses(settings: Mapping[str, Any]) -> Iterator[str]:
    """Return the addresses of the PostgreSQL storages, as far as they say which driver is used."""
    storage = settings.get("storage") or {}
    classes = [storage, settings.get("event_log_storage") or {}]
    given = [
        storage.get("postgres"),
        *(
            one.get("config")
            for one in classes
            if str(one.get("module", "")).startswith("dagster_postgres")
        ),
    ]
    for config in filter(None, given):
        parts = config.get("postgres_db") or {}
        by_parts = f"{_value(parts.get('scheme', 'postgresql'))}://"
        address = _value(config.get("postgres_url", by_parts))
        if address is not None:
            yield address


def _value(given: Any) -> str | None:
    """Return a text, which may be the name of an environment variable, as in `{env: URL}`."""
    if not isinstance(given, Mapping):
        return None if given is None else str(given)
    variable = str(given.get("env"))
    return os.environ.get(variable)
