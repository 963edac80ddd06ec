"""`dg scaffold defs etl_assets.StreamsComponent shop`: the YAML to begin with."""

from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster.components import scaffold_component
from pydantic import BaseModel, Field
from typing_extensions import override

from etl_assets.assets.names import word
from etl_assets.exceptions import ConfigError, did_you_mean
from etl_assets.registry import Kind, registered

_PROGRAMS = ("source-", "tap-", "destination-", "target-")
"""What the names of connectors begin with; those are too many to know."""

_WITH_URL = {"mysql", "postgres", "sql"}
_WITH_PATH = {"duckdb", "sqlite"}
_WORDS = {
    "bigquery": {"project": "{{ env.BIGQUERY_PROJECT }}"},
    "snowflake": {
        name: f"{{{{ env.SNOWFLAKE_{name.upper()} }}}}"
        for name in ("account", "user", "password", "warehouse", "database")
    },
}
"""Of destinations that have no address."""


class StreamsParams(BaseModel):
    """What may be said when a component is made."""

    source: str = Field(default="sqlite", description="Its name, such as postgres or source-faker.")
    destination: str = Field(default="duckdb", description="Its name, such as duckdb or postgres.")


class StreamsScaffolder(dg.Scaffolder[StreamsParams]):
    """Writes the YAML of a component, without a secret and without connecting."""

    @classmethod
    @override
    def get_scaffold_params(cls) -> type[StreamsParams]:
        """Return what may be said on the command line."""
        return StreamsParams

    @override
    def scaffold(self, request: dg.ScaffoldRequest[StreamsParams]) -> None:
        """Write it."""
        path = request.target_path
        name = word(path.parent.name if request.append else path.name)
        scaffold_component(request, attributes(name, request.params))


def attributes(name: str, params: StreamsParams) -> dict[str, Any]:
    """Return the YAML of a component.

    Args:
        name: Of the source.
        params: What source and destination they are to be.

    Raises:
        ConfigError: There is no source, or no destination, of that name.
    """
    _check_name("source", params.source)
    _check_name("destination", params.destination)
    return {
        "source": {
            "name": params.source,
            "source_name": name,
            **_source_words(name, params.source),
        },
        "destination": {"name": params.destination, **_destination_words(params.destination)},
    }


def _check_name(kind: Kind, name: str) -> None:
    known = registered(kind)
    if name not in known and not name.startswith(_PROGRAMS):
        raise ConfigError(
            f"There is no {kind} {name!r}.",
            hint=did_you_mean(name, known),
        )


def _source_words(name: str, source: str) -> Mapping[str, Any]:
    if source in _WITH_URL or source == "duckdb":
        return {"url": f"{{{{ env.{name.upper()}_URL }}}}"}
    if source in {"files", "sqlite"}:
        return {"path": f"{{{{ env.{name.upper()}_PATH }}}}"}
    return {"config": {}}


def _destination_words(destination: str) -> Mapping[str, Any]:
    if destination in _WITH_PATH:
        return {"path": f"warehouse.{'db' if destination == 'sqlite' else destination}"}
    if destination in _WITH_URL:
        return {"url": "{{ env.WAREHOUSE_URL }}"}
    return _WORDS.get(destination, {"config": {}})
