"""`etl-assets connectors`: install a project's connectors, list the known ones, and ask one."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from etl_assets.assets.catalog_cli import shown
from etl_assets.assets.definitions_file import Project
from etl_assets.connectors.executors import PythonExecutor
from etl_assets.connectors.install import MARKER, Installed, install_root
from etl_assets.connectors.names import get_available_connectors, known_connectors, protocol_of
from etl_assets.connectors.requirements import Pins, hashes_of, parsed_lock
from etl_assets.connectors.workspace import read_json
from etl_assets.destinations.connector import ConnectorDestination
from etl_assets.destinations.connectors import get_destination
from etl_assets.destinations.singer import SingerDestination
from etl_assets.exceptions import ConfigError
from etl_assets.sources.airbyte.source import AirbyteSource
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.connectors import get_source
from etl_assets.sources.singer.source import SingerSource

Say = Callable[[str], None]
Connector = ConnectorSource | ConnectorDestination
LOCK = "connectors.lock"


def install_project(project: Project, say: Say) -> int:
    """Install every connector that a definitions file uses, and write `connectors.lock`.

    What the lock file pins already is installed exactly so.

    Raises:
        ConfigError: There is nothing to install.
    """
    hosts = _hosts(project)
    if not hosts:
        raise ConfigError(
            f"{project.path.name} uses no connectors.",
            hint="Those come from get_source(...) and get_destination(...).",
        )
    lock = project.path.parent / LOCK
    locked = parsed_lock(lock)
    kept: dict[str, Any] = {}
    for host in hosts:
        executor = host.executor
        if not isinstance(executor, PythonExecutor):
            executor.install()
            say(f"{host.connector_name}: ready ({executor!r})")
            continue
        key = executor.environment.folder.name
        pins = _pins(locked.get(key))
        installed = executor.install_pinned(pins)
        kept[key] = _locked(installed, pins)
        exactly = f" as {LOCK} says" if pins else ""
        say(
            f"{host.connector_name}: {installed.version or 'installed'} "
            f"under Python {installed.python}{exactly}"
        )
    if kept != locked:
        _write(lock, {"format": 1, "connectors": dict(sorted(kept.items()))})
        say(f"wrote {shown(lock)}: commit it")
    return 0


def _hosts(project: Project) -> list[Connector]:
    sources = [one.source for one in project.sources()]
    destinations = [project.resolve(one) for one in project.destinations()]
    return [
        one
        for one in (*sources, *destinations)
        if isinstance(one, ConnectorSource | ConnectorDestination)
    ]


def install_named(source: Connector, say: Say) -> int:
    """Install one connector."""
    source.install()
    say(f"{source.connector_name}: {source.connector_version or 'ready'}")
    return 0


def list_connectors(kind: str | None, root: str | None, say: Say) -> int:
    """List the known connectors of a kind, and what is installed."""
    try:
        names = get_available_connectors(kind)
    except ValueError as error:
        raise ConfigError(f"There is no kind {kind!r} of connectors.") from error
    known, installed = known_connectors(), _installed(install_root(root))
    for name in sorted({*names, *installed} if kind is None else names):
        how = known[name].install if name in known else "given"
        there = f"  installed: {', '.join(installed[name])}" if name in installed else ""
        say(f"{name:<36} {how}{there}")
    return 0


def check(source: Connector, say: Say) -> int:
    """Have a connector check its config; says what that has shown, and what it cannot show."""
    source.test_connection()
    if isinstance(source, SingerDestination):
        shown = source.shown_by_check
    elif isinstance(source, SingerSource):
        shown = (
            f"it listed {len(source.discover())} streams with this config. "
            "A Singer tap has no other check"
        )
    else:
        shown = "connected"
    say(f"ok       {source.connector_name}: {shown}")
    return 0


def spec(source: Connector, write: Say) -> int:
    """Print the JSON Schema of a connector's config."""
    if not isinstance(source, AirbyteSource | SingerSource | ConnectorDestination):
        raise ConfigError(f"{source.connector_name} does not say what config it takes.")
    write(json.dumps(source.config_spec, indent=2, ensure_ascii=False))
    return 0


def discover(source: Connector, write: Say) -> int:
    """Print a connector's catalog, as Singer has it."""
    if not isinstance(source, ConnectorSource):
        raise ConfigError(
            f"{source.connector_name} is a destination: it has no streams to discover."
        )
    write(json.dumps(source.discover().to_dict(), indent=2, ensure_ascii=False))
    return 0


def named(name: str, config: Path | None, options: Mapping[str, Any]) -> Connector:
    """Return the source or destination of a command line.

    Raises:
        ConfigError: The config file cannot be read.
    """
    document: Any = {}
    if config is not None:
        try:
            document = json.loads(config.read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise ConfigError(f"The config {str(config)!r} cannot be read: {error}.") from None
        if not isinstance(document, dict):
            raise ConfigError(f"The config {str(config)!r} is no object.")
    given = {
        key: value for key, value in options.items() if value is not None and value is not False
    }
    if (
        "use_properties" in given
        and protocol_of(name) != "singer"
        and given.get("protocol") != "singer"
    ):
        raise ConfigError(f"{name} is no Singer tap: --use-properties is of no use with it.")
    if not name.startswith(("destination-", "target-")):
        return _program(get_source(name, document, **given), name)
    if "source_manifest" in given:
        raise ConfigError(f"{name} is a destination, and a source_manifest makes a source.")
    if "use_properties" in given:
        raise ConfigError(
            f"{name} is a target: --use-properties is for taps, which read a catalog."
        )
    return _program(get_destination(name, document, **given), name)


def _program(found: object, name: str) -> Connector:
    if not isinstance(found, ConnectorSource | ConnectorDestination):
        raise ConfigError(
            f"{name!r} is a class of Python's ({type(found).__name__}), and no program to be asked."
        )
    return found


def _pins(entry: Any) -> Pins | None:
    if not isinstance(entry, Mapping) or not entry.get("packages"):
        return None
    return Pins(entry["packages"], entry.get("hashes") or {}, entry.get("distribution") or "")


def _locked(installed: Installed, pins: Pins | None) -> dict[str, Any]:
    same = pins is not None and dict(pins.packages) == dict(installed.packages)
    hashes = (
        pins.hashes if pins is not None and same and pins.hashes else hashes_of(installed.packages)
    )
    return {
        "name": installed.name,
        "requirement": installed.requirement,
        "version": installed.version,
        "python": installed.python,
        "distribution": installed.distribution,
        "packages": dict(installed.packages),
        **({"hashes": dict(hashes)} if hashes else {}),
    }


def _installed(root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for marker in sorted(root.glob(f"*/{MARKER}")):
        document = read_json(marker)
        if isinstance(document, dict):
            found.setdefault(str(document.get("name")), []).append(
                str(document.get("version") or "?")
            )
    return found


def _write(path: Path, document: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    temporary.replace(path)
