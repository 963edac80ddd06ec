"""`etl-assets connectors`: install the connectors of a project, list those that are known, and ask one of them."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from etl_assets.assets.definitions_file import Project
from etl_assets.connectors.executors import PythonExecutor, parsed_lock
from etl_assets.connectors.install import MARKER, Installed, install_root
from etl_assets.connectors.names import get_available_connectors, known_connectors
from etl_assets.connectors.workspace import read_json
from etl_assets.exceptions import ConfigError
from etl_assets.sources.airbyte import AirbyteSource
from etl_assets.sources.connector import ConnectorSource
from etl_assets.sources.connectors import get_source
from etl_assets.sources.singer import SingerSource

Say = Callable[[str], None]
LOCK = "connectors.lock"


def install_project(project: Project, say: Say) -> int:
    """Install every connector that a definitions file uses, and write what was installed to `connectors.lock`.

    What the lock file pins already is installed exactly so.

    Raises:
        ConfigError: There is nothing to install.
    """
    sources = [one.source for one in project.sources() if isinstance(one.source, ConnectorSource)]
    if not sources:
        raise ConfigError(f"{project.path.name} uses no connectors.", hint="Those come from get_source(...).")
    lock = project.path.parent / LOCK
    locked = parsed_lock(lock)
    kept: dict[str, Any] = {}
    for source in sources:
        executor = source.executor
        if not isinstance(executor, PythonExecutor):
            executor.install()
            say(f"{source.connector_name}: ready ({executor!r})")
            continue
        key = executor.environment.folder.name
        pinned = (locked.get(key) or {}).get("packages")
        installed = executor.install_pinned(pinned)
        kept[key] = _locked(installed)
        exactly = f" as {LOCK} says" if pinned else ""
        say(f"{source.connector_name}: {installed.version or 'installed'} under Python {installed.python}{exactly}")
    if kept != locked:
        _write(lock, {"format": 1, "connectors": dict(sorted(kept.items()))})
        say(f"wrote {lock.name}: commit it")
    return 0


def install_named(source: ConnectorSource, say: Say) -> int:
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


def check(source: ConnectorSource, say: Say) -> int:
    """Have a connector check its config."""
    source.test_connection()
    say(f"ok       {source.connector_name}: connected")
    return 0


def spec(source: ConnectorSource, write: Say) -> int:
    """Print the JSON Schema of a connector's config."""
    if not isinstance(source, AirbyteSource | SingerSource):
        raise ConfigError(f"{source.connector_name} does not say what config it takes.")
    write(json.dumps(source.config_spec, indent=2, ensure_ascii=False))
    return 0


def discover(source: ConnectorSource, write: Say) -> int:
    """Print a connector's catalog, as Singer has it."""
    write(json.dumps(source.discover().to_dict(), indent=2, ensure_ascii=False))
    return 0


def named(name: str, config: Path | None, options: Mapping[str, Any]) -> ConnectorSource:
    """Give the source of a command line.

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
    return get_source(name, document, **{key: value for key, value in options.items() if value is not None})


def _locked(installed: Installed) -> dict[str, Any]:
    return {
        "name": installed.name,
        "requirement": installed.requirement,
        "version": installed.version,
        "python": installed.python,
        "packages": dict(installed.packages),
    }


def _installed(root: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for marker in sorted(root.glob(f"*/{MARKER}")):
        document = read_json(marker)
        if isinstance(document, dict):
            found.setdefault(str(document.get("name")), []).append(str(document.get("version") or "?"))
    return found


def _write(path: Path, document: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    temporary.replace(path)
