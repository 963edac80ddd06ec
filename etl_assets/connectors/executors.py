"""How a connector is started.

It may have an environment of its own, a path, an image for Docker, or a manifest.
"""

import copy
import logging
import os
import secrets
import shutil
import stat
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from typing_extensions import override

from etl_assets.connectors.install import (
    Environment,
    Installed,
    install,
    uninstall,
)
from etl_assets.connectors.names import Protocol
from etl_assets.connectors.process import ConnectorProcess, Limits, output_of
from etl_assets.connectors.requirements import Pins
from etl_assets.connectors.runs import may_install
from etl_assets.connectors.surroundings import Surroundings
from etl_assets.connectors.workspace import Workspace
from etl_assets.exceptions import ConfigError, ConnectorInstallationError, ConnectorNotFoundError
from etl_assets.redaction import redact
from etl_assets.redaction.logs import masked_logger

PROVE_SECONDS = 120.0
MANIFEST_SECONDS = 60.0
MANIFEST_BYTES = 16 * 1024 * 1024
DECLARATIVE = "source-declarative-manifest"


class Executor:
    """Starts a connector. Creating an executor neither installs nor connects to anything.

    Args:
        name: The connector's name.
        protocol: What it speaks.
    """

    def __init__(self, name: str, protocol: Protocol) -> None:
        self.name = name
        self.protocol = protocol
        self.limits = Limits()
        self.surroundings = Surroundings()
        self.logger = masked_logger(f"etl_assets.connectors.{name}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r})"

    @property
    def version(self) -> str | None:
        """The installed version, or None if it is not known."""
        return None

    def ensure(self) -> None:
        """Make the connector ready to start.

        Raises:
            ConfigError: It is missing and may not be installed here.
        """

    def ensure_installation(self, *, auto_fix: bool = True) -> None:
        """Make the connector ready to start, by PyAirbyte's name.

        Args:
            auto_fix: Install the connector if it is missing. If False, that is an error.

        Raises:
            ConfigError: It is missing.
        """
        del auto_fix
        self.ensure()

    def get_installed_version(
        self, *, raise_on_error: bool = False, recheck: bool = False
    ) -> str | None:
        """Return the installed version, or None if it is not known.

        Args:
            raise_on_error: Raise an error if it is not known.
            recheck: PyAirbyte has this argument. The version is always read anew.

        Raises:
            ConnectorInstallationError: It is not known, and `raise_on_error` is set.
        """
        del recheck
        if self.version is None and raise_on_error:
            raise ConnectorInstallationError(
                f"The installed version of {self.name} is not known.", connector_name=self.name
            )
        return self.version

    def install(self) -> None:
        """Install the connector, if there is anything to install."""

    def uninstall(self) -> None:
        """Remove what `install` has installed."""

    def command(self, *arguments: str) -> list[str]:
        """Return the command line."""
        raise NotImplementedError(f"{type(self).__name__} must override command.")

    def config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return the config as the connector is to see it."""
        return dict(config)

    def start(
        self,
        *arguments: str,
        files: Mapping[str, Any] | None = None,
        limits: Limits | None = None,
        logger: logging.Logger | None = None,
        takes_input: bool = False,
    ) -> ConnectorProcess:
        """Start the connector.

        Args:
            arguments: Its arguments. `{config}` stands for the path of the file `config`.
            files: JSON documents, which are written to files that only this user can read.
            limits: Limits of time and size.
            logger: The logger of its standard error.
            takes_input: It reads its standard input.

        Raises:
            ConfigError: It is missing, or a document cannot be written as JSON.
        """
        self.ensure()
        around = self.surroundings
        directory = self.directory()
        variables = {**self.more_environment(), **around.variables()}
        workspace = Workspace()
        paths: dict[str, str] = {}
        try:
            for name, document in (files or {}).items():
                path = workspace.write(f"{name}.json", document)
                paths[f"{{{name}}}"] = self.path_inside(workspace, path)
        except ConfigError:
            workspace.remove()
            raise
        filled = [paths.get(argument, argument) for argument in arguments]
        return ConnectorProcess(
            self.line(workspace, [*filled, *around.arguments]),
            workspace=workspace,
            inside=self.inside,
            directory=directory,
            name=self.name,
            limits=limits or self.limits,
            logger=logger,
            path_first=self.path_first,
            more_environment=variables,
            takes_input=takes_input,
        )

    path_first: Path | None = None
    inside: str | None = None
    """The path at which it sees the directory of its files, if that differs from ours."""

    def directory(self) -> Path | None:
        """Return its working directory.

        It is the calling process's own, so that relative paths in the config mean the same.

        Raises:
            ConfigError: It does not exist.
        """
        return self.surroundings.directory()

    def line(self, workspace: Workspace, arguments: Sequence[str]) -> list[str]:
        """Return the whole command line of one process."""
        del workspace
        return self.command(*arguments)

    def path_inside(self, workspace: Workspace, path: Path) -> str:
        """Return the path of a file as the connector sees it."""
        del workspace
        return str(path)

    def more_environment(self) -> dict[str, str]:
        """Return environment variables that are set in addition to the allow-list."""
        return {}

    def proof(self) -> tuple[str, ...]:
        """Return the arguments of a call that only shows whether it starts."""
        return ("spec",) if self.protocol == "airbyte" else ("--help",)


class NoExecutor(Executor):
    """The executor of a connector that is only described, never run."""

    @override
    def ensure(self) -> None:
        raise ConfigError(f"{self.name} was made with no_executor=True, so it cannot run.")


class LocalExecutor(Executor):
    """A program that is installed already.

    Args:
        name: The connector's name.
        protocol: What it speaks.
        executable: A path, or a name that is found on PATH. A relative path is resolved at once.
    """

    def __init__(self, name: str, protocol: Protocol, executable: str | Path) -> None:
        super().__init__(name, protocol)
        text = str(executable)
        # Made absolute at once: what runs must not depend on where the process is later.
        is_path = os.sep in text or (isinstance(executable, Path) and executable.is_file())
        self.executable = str(Path(text).expanduser().absolute()) if is_path else text

    @override
    def ensure(self) -> None:
        path = self._path()
        folder = path.parent.stat().st_mode
        places = [path, path.resolve()]
        if not folder & stat.S_ISVTX:  # in a sticky directory, only the owner can replace a file
            places.append(path.parent)
        writable = [str(one) for one in places if one.stat().st_mode & stat.S_IWOTH]
        if writable:
            raise ConfigError(
                f"The executable of {self.name} could be changed by anybody: {writable[0]!r} is "
                "writable for all.",
                hint=f"chmod o-w {writable[0]}",
            )

    @override
    def command(self, *arguments: str) -> list[str]:
        return [str(self._path()), *arguments]

    def _path(self) -> Path:
        wanted = self.executable
        if os.sep in wanted:
            wanted = str(Path(wanted).expanduser())
        found = shutil.which(wanted)
        if found is None:
            raise ConnectorNotFoundError(
                f"The executable {self.executable!r} of {self.name} is not there, or is no "
                "program.",
                connector_name=self.name,
            )
        return Path(found).absolute()


class PythonExecutor(Executor):
    """A Python package in an environment of its own.

    Args:
        environment: The environment.
        protocol: What it speaks.
        install_if_missing: Install it at its first use, but not in a run.
    """

    def __init__(
        self, environment: Environment, protocol: Protocol, *, install_if_missing: bool = True
    ) -> None:
        super().__init__(environment.name, protocol)
        self.environment = environment
        self.install_if_missing = install_if_missing

    @property
    @override
    def version(self) -> str | None:
        found = self.environment.installed()
        if found is None:
            return None
        return found.version or None

    @property
    def install_root(self) -> Path:
        """The directory that its environment is in. Setting it chooses another environment."""
        return self.environment.root

    @install_root.setter
    def install_root(self, root: Path | str) -> None:
        self.environment = replace(self.environment, root=Path(root).expanduser().absolute())

    @override
    def ensure_installation(self, *, auto_fix: bool = True) -> None:
        if not auto_fix and self.environment.installed() is None:
            raise ConnectorInstallationError(
                f"{self.name} is not installed.", connector_name=self.name
            )
        self.ensure()

    @override
    def ensure(self) -> None:
        if self.environment.installed() is None:
            if not self.install_if_missing or not may_install():
                raise ConnectorInstallationError(
                    f"The connector {self.name} is not installed in "
                    f"{str(self.environment.root)!r}.",
                    connector_name=self.name,
                    hint="Run `etl-assets connectors install -f definitions.py` before the run "
                    "(or set ETL_ASSETS_INSTALL_IN_RUN=1 to have runs install what is missing).",
                )
            self.install()
        self.path_first = self.environment.bin

    @override
    def install(self) -> None:
        self.install_pinned(None)

    def install_pinned(self, pins: Pins | None) -> Installed:
        """Install it with exactly these distributions, or with the newest ones that fit."""
        return install(self.environment, self._prove, pinned=pins)

    @override
    def uninstall(self) -> None:
        uninstall(self.environment)

    @override
    def command(self, *arguments: str) -> list[str]:
        found = self.environment.installed()
        if found is None:
            raise ConnectorInstallationError(
                f"The connector {self.name} is not installed.", connector_name=self.name
            )
        return [found.executable, *arguments]

    def _prove(self, executable: Path) -> str | None:
        tries = [self.proof()]
        if self.protocol == "singer":
            tries.append(("--version",))
        for arguments in tries:
            process = ConnectorProcess(
                [str(executable), *arguments],
                workspace=Workspace(),
                name=self.name,
                limits=Limits(silence_seconds=PROVE_SECONDS, total_seconds=PROVE_SECONDS),
                path_first=self.environment.bin,
            )
            with process:
                said = output_of(process)
                if process.exit_code == 0:
                    return None
                log = process.log_text or redact(said.decode("utf-8", "replace"))[-2000:]
        return log or "(it said nothing)"


class ManifestExecutor(PythonExecutor):
    """A low-code connector: a manifest, run by `source-declarative-manifest` of `airbyte-cdk`.

    Args:
        name: The connector's name.
        manifest: The manifest, a path to it, or its URL.
        environment: Where `airbyte-cdk` is installed.
        allow_custom_code: Run Python classes that the manifest names.
        install_if_missing: Install it at its first use, outside of a run.
    """

    def __init__(
        self,
        name: str,
        manifest: Mapping[str, Any] | Path | str,
        environment: Environment,
        *,
        allow_custom_code: bool = False,
        install_if_missing: bool = True,
    ) -> None:
        super().__init__(environment, "airbyte", install_if_missing=install_if_missing)
        self.name = name
        self._given = manifest
        self._manifest: dict[str, Any] | None = None
        self._allow_custom_code = allow_custom_code

    def manifest(self) -> dict[str, Any]:
        """Return the manifest, read once.

        Raises:
            ConfigError: It cannot be read, or it has custom code that is not allowed.
        """
        if self._manifest is None:
            found = _manifest_of(self._given, self.name)
            custom = next(_custom_code(found), None)
            if custom and not self._allow_custom_code:
                raise ConfigError(
                    f"The manifest of {self.name} names Python code: {custom!r}.",
                    hint="It would run with your rights; allow it with allow_custom_code=True if "
                    "you trust it.",
                )
            self._manifest = found
        return self._manifest

    @override
    def config(self, config: Mapping[str, Any]) -> dict[str, Any]:
        injected = sorted(key for key in config if key.startswith("__injected"))
        if injected and not self._allow_custom_code:
            raise ConfigError(
                f"The config of {self.name} has {injected[0]!r}.",
                hint="That could be code; leave it out.",
            )
        return {**config, "__injected_declarative_manifest": copy.deepcopy(self.manifest())}

    @override
    def proof(self) -> tuple[str, ...]:
        return ("spec",)


def _custom_code(node: Any) -> Any:
    waiting = [node]
    while waiting:
        one = waiting.pop()
        if isinstance(one, Mapping):
            is_custom = str(one.get("type")).startswith("Custom") and "class_name" in one
            if is_custom or isinstance(one.get("class_name"), str):
                yield one["class_name"]
            waiting.extend(one.values())
        elif isinstance(one, list):
            waiting.extend(one)


def _manifest_of(given: Mapping[str, Any] | Path | str, name: str) -> dict[str, Any]:
    import yaml

    if isinstance(given, Mapping):
        return dict(given)
    try:
        if isinstance(given, str) and urllib.parse.urlsplit(given).scheme in {"http", "https"}:
            from urllib.request import urlopen  # imports much that is seldom needed

            with urlopen(  # noqa: S310 - its scheme is checked above
                given, timeout=MANIFEST_SECONDS
            ) as answer:
                text = answer.read(MANIFEST_BYTES)
        else:
            text = Path(given).read_bytes()
        found = yaml.safe_load(text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise ConfigError(
            f"The manifest of {name} cannot be read from {str(given)!r}: {error}."
        ) from None
    if not isinstance(found, dict):
        raise ConfigError(f"The manifest of {name} in {str(given)!r} is no object.")
    return found


class DockerExecutor(Executor):
    """A connector in a container.

    Args:
        name: The connector's name.
        image: Such as `airbyte/source-postgres:3.6.0`.
        protocol: What it speaks.
        use_host_network: The container shares the network of this machine.
    """

    inside = "/etl_assets"

    def __init__(
        self, name: str, image: str, protocol: Protocol, *, use_host_network: bool = False
    ) -> None:
        super().__init__(name, protocol)
        self.image = image
        self.use_host_network = use_host_network

    @override
    def ensure(self) -> None:
        if shutil.which("docker") is None:
            raise ConfigError(f"{self.name} runs in Docker, and there is no `docker` on PATH.")

    @override
    def install(self) -> None:
        self.ensure()
        with ConnectorProcess(
            [self._docker(), "pull", "--quiet", self.image],
            workspace=Workspace(),
            name=f"docker pull {self.image}",
            more_environment=self.more_environment(),
        ) as process:
            output_of(process)
            if process.exit_code:
                raise process.failure()

    @override
    def uninstall(self) -> None:
        """Do nothing: others may use the image."""

    @override
    def line(self, workspace: Workspace, arguments: Sequence[str]) -> list[str]:
        # The files are this user's alone, so the container runs as this user. `--init` passes
        # signals on.
        name = f"etl_assets-{secrets.token_hex(6)}"
        options = [
            *("run", "--rm", "--init", "--interactive", "--name", name),
            *("--user", f"{os.getuid()}:{os.getgid()}", "--env", "HOME=/tmp", "--env", "TZ=UTC"),
            *("--cap-drop", "ALL", "--security-opt", "no-new-privileges"),
            *("--volume", f"{workspace.path}:{self.inside}"),
        ]
        if self.use_host_network:
            options += ["--network", "host"]
        options += self._of_surroundings()
        return [self._docker(), *options, self.image, *arguments]

    @override
    def command(self, *arguments: str) -> list[str]:
        return [self._docker(), "run", "--rm", self.image, *arguments]

    def _of_surroundings(self) -> list[str]:
        around = self.surroundings
        options: list[str] = []
        for name in around.env:
            options += ["--env", name]  # without its value, which everybody could see
        if around.working_directory is not None:
            place = around.directory()
            options += ["--volume", f"{place}:{place}", "--workdir", str(place)]
        return options

    @override
    def directory(self) -> Path | None:
        # This is the directory of `docker` itself. A container sees nothing of this machine that it
        # was not given.
        return None

    @override
    def path_inside(self, workspace: Workspace, path: Path) -> str:
        return f"{self.inside}/{path.relative_to(workspace.path)}"

    @override
    def more_environment(self) -> dict[str, str]:
        names = (
            "DOCKER_HOST",
            "DOCKER_CONTEXT",
            "DOCKER_CONFIG",
            "DOCKER_CERT_PATH",
            "DOCKER_TLS_VERIFY",
        )
        found = {name: os.environ[name] for name in names if name in os.environ}
        own = Path.home() / ".docker"
        if own.is_dir():
            found.setdefault("DOCKER_CONFIG", str(own))
        return found

    def _docker(self) -> str:
        return shutil.which("docker") or "docker"
