"""`get_destination`: a destination by its name, be it somebody else's program or a class."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from etl_assets.callbacks import ConfigChangeCallback
from etl_assets.connectors.arguments import explained, refuse_unknown
from etl_assets.connectors.chosen import Choice
from etl_assets.connectors.classes import of_registered_class
from etl_assets.connectors.names import Protocol
from etl_assets.destinations.airbyte import AirbyteDestination
from etl_assets.destinations.connector import ConnectorDestination
from etl_assets.destinations.singer import SingerDestination
from etl_assets.exceptions import ConfigError


@explained
def get_destination(  # noqa: PLR0913 - PyAirbyte's arguments, and ours
    name: str,
    config: Mapping[str, Any] | None = None,
    *,
    config_change_callback: ConfigChangeCallback | None = None,
    version: str | None = None,
    use_python: bool | Path | str | None = None,
    pip_url: str | None = None,
    local_executable: Path | str | bool | None = None,
    docker_image: bool | str | None = None,
    use_host_network: bool = False,
    install_if_missing: bool = True,
    install_root: Path | str | None = None,
    no_executor: bool = False,
    destination_name: str | None = None,
    protocol: Protocol | None = None,
    working_directory: Path | str | None = None,
    env: Mapping[str, Any] | None = None,
    arguments: Sequence[str] = (),
    **options: Any,
) -> ConnectorDestination:
    """Return a destination by its name: an Airbyte connector, a Singer target, a class.

    Neither installs nor connects.

    Args:
        name: Such as `destination-duckdb` or `target-jsonl`; or a name that a package has
            registered (see `registry`), for which only `config` and what its class takes are given.
        config: The connector's config; values may be references (`dagster.EnvVar`), also nested and
            in lists.
        config_change_callback: Called with the whole new config when the connector changes it; what
            it raises fails the write.
        version: Of its package, or the tag of its image; None or `latest` for the newest when it is
            installed.
        use_python: The interpreter of its environment: True for this one, a version or a path;
            False for Docker.
        pip_url: What pip installs, in place of what the index of names says.
        local_executable: A program that is there: a path, or a name on PATH; True for the
            connector's own name.
        docker_image: An image; True for the connector's own.
        use_host_network: Of a container.
        install_if_missing: Install it at its first use, outside of a run.
        install_root: The directory of all environments; by default `$ETL_ASSETS_HOME/connectors`,
            else `./.etl_assets/connectors`.
        no_executor: Only describe it.
        destination_name: What tells it from others in the past of an asset; the connector's, as a
            word, by default.
        protocol: `airbyte` or `singer`, where the name does not tell.
        working_directory: Where it runs, and what relative paths in its config start from; by
            default the working directory of this process. A container sees it only if it is given.
        env: More environment variables for it; values may be references (`dagster.EnvVar`).
        arguments: More arguments for it, behind those of the protocol. Never a secret: arguments
            are seen by everybody.
        options: What the destination takes: `limits`, `staging_dir`, `staging_memory_bytes`,
            `activate_version` (Singer).

    Raises:
        InputError: There is no such argument, or it is of another type.
        ConfigError: The arguments contradict each other, or nothing says how to run the connector.
    """
    given = dict(locals())  # the arguments, and a choice has most of its fields among them
    if name.startswith(("source-", "tap-")):
        raise ConfigError(f"{name!r} is a source.", hint="Use get_source().")
    of_class: ConnectorDestination | None = of_registered_class("destination", given)
    if of_class is not None:
        return of_class
    executor = Choice(
        **{field.name: given[field.name] for field in fields(Choice) if field.name in given}
    ).executor()
    kind: type[ConnectorDestination] = (
        SingerDestination if executor.protocol == "singer" else AirbyteDestination
    )
    refuse_unknown(get_destination, kind, options)
    return kind(
        executor,
        name,
        config,
        destination_name=destination_name,
        config_change_callback=config_change_callback,
        **options,
    )
