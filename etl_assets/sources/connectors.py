"""`get_source`: a source by its name, somebody else's program or a class that is registered."""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from etl_assets.callbacks import ConfigChangeCallback
from etl_assets.connectors.arguments import explained, refuse_unknown
from etl_assets.connectors.chosen import Choice
from etl_assets.connectors.classes import of_registered_class
from etl_assets.connectors.names import Protocol
from etl_assets.exceptions import ConfigError
from etl_assets.sources.connector import ConnectorSource


@explained
def get_source(  # noqa: PLR0913 - PyAirbyte's arguments, and ours
    name: str,
    config: Mapping[str, Any] | None = None,
    *,
    config_change_callback: ConfigChangeCallback | None = None,
    streams: str | Sequence[str] | None = None,
    version: str | None = None,
    use_python: bool | Path | str | None = None,
    pip_url: str | None = None,
    local_executable: Path | str | bool | None = None,
    docker_image: bool | str | None = None,
    use_host_network: bool = False,
    source_manifest: bool | Mapping[str, Any] | Path | str | None = None,
    install_if_missing: bool = True,
    install_root: Path | str | None = None,
    no_executor: bool = False,
    source_name: str | None = None,
    protocol: Protocol | None = None,
    working_directory: Path | str | None = None,
    env: Mapping[str, Any] | None = None,
    arguments: Sequence[str] = (),
    allow_custom_code: bool = False,
    **options: Any,
) -> ConnectorSource:
    """Return a source by its name: an Airbyte connector, a Singer tap, or a class.

    Neither installs nor connects.

    Args:
        name: Such as `source-faker` or `tap-jsonl`; or a name that a package has registered (see
            `registry`), for which only `config`, `streams`, `source_name` and what its class takes
            are given.
        config: The connector's config; values may be references (`dagster.EnvVar`), also nested and
            in lists.
        config_change_callback: Called with the whole new config when the connector changes it,
            before anything else goes on; what it raises fails the read.
        streams: Names of the streams to read; `"*"` or None for all. They are looked up when the
            first is read.
        version: Of its package, or the tag of its image; None or `latest` for the newest when it is
            installed.
        use_python: The interpreter of its environment: True for this one, a version or a path;
            False for Docker.
        pip_url: What pip installs, in place of what the index of names says.
        local_executable: A program that is there: a path, or a name on PATH; True for the
            connector's own name.
        docker_image: An image; True for the connector's own.
        use_host_network: Of a container.
        source_manifest: The manifest of a low-code connector: the document, a path or a URL.
        install_if_missing: Install it at its first use, outside of a run.
        install_root: The directory of all environments; by default `$ETL_ASSETS_HOME/connectors`,
            else `./.etl_assets/connectors`.
        no_executor: Only describe it.
        source_name: Unique in a project, the name under which state is stored, beside the place of
            the tables; by default the connector's name as a word. Two accounts of one connector
            need two of them, or two places.
        protocol: `airbyte` or `singer`, where the name does not tell.
        working_directory: Where it runs, and what relative paths in its config start from; by
            default the working directory of this process. A container sees it only if it is given.
        env: More environment variables for it; values may be references (`dagster.EnvVar`).
        arguments: More arguments for it, behind those of the protocol. Never a secret: arguments
            are seen by everybody.
        allow_custom_code: Run Python code that a manifest names.
        options: What the source takes: `limits`, `catalog`, `types`, `cursor_keys` (Airbyte),
            `use_properties` and `batch_folder` (Singer).

    Raises:
        InputError: There is no such argument, or it is of another type.
        ConfigError: The arguments contradict each other, or nothing says how to run the connector.
    """
    given = dict(locals())  # the arguments, and each choice has one of its name
    if name.startswith(("destination-", "target-")):
        raise ConfigError(f"{name!r} is a destination.", hint="Use get_destination().")
    of_class: ConnectorSource | None = of_registered_class("source", given)
    if of_class is not None:
        return of_class
    executor = Choice(**{field.name: given[field.name] for field in fields(Choice)}).executor()
    kind = _kind(executor.protocol)
    refuse_unknown(get_source, kind, options)
    named: dict[str, Any] = {
        "config_change_callback": config_change_callback,
        "streams": streams,
        "source_name": source_name,
    }
    return kind(executor, name, config, **named, **options)


def _kind(protocol: Protocol) -> type[ConnectorSource]:
    """Return the sources of a protocol, without an import of those of the other one."""
    if protocol == "singer":
        from etl_assets.sources.singer.source import SingerSource

        return SingerSource
    from etl_assets.sources.airbyte.source import AirbyteSource

    return AirbyteSource
