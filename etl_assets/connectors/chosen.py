"""Which executor the arguments of `get_source` and `get_destination` stand for."""

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from etl_assets.connectors.classes import near
from etl_assets.connectors.executors import (
    DECLARATIVE,
    DockerExecutor,
    Executor,
    LocalExecutor,
    ManifestExecutor,
    NoExecutor,
    PythonExecutor,
)
from etl_assets.connectors.install import Environment, install_root
from etl_assets.connectors.names import (
    InstallType,
    Protocol,
    known_connectors,
    protocol_of,
    unknown,
)
from etl_assets.connectors.surroundings import Surroundings
from etl_assets.exceptions import ConfigError, InputError
from etl_assets.redaction.logs import masked_logger

_log = masked_logger("etl_assets.connectors")


@dataclass(frozen=True)
class Choice:
    """How a connector is to be run: arguments of `get_source`, which says what they are.

    Raises:
        InputError: The arguments contradict each other.
    """

    name: str
    version: str | None = None
    use_python: bool | Path | str | None = None
    pip_url: str | None = None
    local_executable: Path | str | bool | None = None
    docker_image: str | bool | None = None
    use_host_network: bool = False
    source_manifest: bool | Mapping[str, Any] | Path | str | None = None
    install_if_missing: bool = True
    install_root: Path | str | None = None
    no_executor: bool = False
    protocol: Protocol | None = None
    allow_custom_code: bool = False
    working_directory: Path | str | None = None
    env: Mapping[str, Any] | None = None
    arguments: Sequence[str] = ()

    def __post_init__(self) -> None:
        name = self.name
        if not name:
            raise InputError("A connector's name is a text that is not empty.")
        ways = [word for word in _WAYS if getattr(self, word)]
        if len(ways) > 1:
            raise InputError(
                f"{name}: {' and '.join(ways)} are ways to run it, and only one can be."
            )
        if self.version and self.pip_url:
            raise InputError(
                f"{name}: version and pip_url both say which one.", hint="Put it into the pip_url."
            )
        if self.version and self.local_executable:
            raise InputError(
                f"{name}: a local_executable has the version it has.", hint="Leave version out."
            )
        if self.version and isinstance(self.docker_image, str) and _tagged(self.docker_image):
            raise InputError(
                f"{name}: the image {self.docker_image!r} has a tag, and version says another."
            )
        way = ways[0] if ways else None
        if self.use_python is False and way not in {None, "docker_image"}:
            raise InputError(f"{name}: use_python=False means Docker, and {way} does not.")
        if self.use_python and way in {"docker_image", "local_executable"}:
            raise InputError(f"{name}: use_python is of no use with {way}.")

    def executor(self) -> Executor:
        """Return what starts it. This neither installs nor connects to anything.

        Raises:
            ConfigError: Nothing says how to run it.
        """
        surroundings = Surroundings(self.working_directory, dict(self.env or {}), self.arguments)
        executor = self._executor()
        executor.surroundings = surroundings
        return executor

    def _executor(self) -> Executor:
        spoken = self.protocol or protocol_of(self.name)
        if spoken is None:
            raise ConfigError(
                f"The name {self.name!r} does not tell what the connector speaks.",
                hint=f'{near(self.name)}Give protocol="airbyte" or protocol="singer", or a name '
                "that begins with source-, destination-, tap- or target-.",
            )
        if self.no_executor:
            return NoExecutor(self.name, spoken)
        if self.local_executable:
            program = self.name if self.local_executable is True else self.local_executable
            return LocalExecutor(self.name, spoken, program)
        if self.source_manifest:
            return self._manifest()
        if self.docker_image or self.use_python is False:
            return self._docker(spoken)
        asks_for_package = self.pip_url or self.version or self.use_python
        if not asks_for_package:
            if shutil.which(self.name):
                return LocalExecutor(self.name, spoken, self.name)
            there = _installed_by_pyairbyte(self.name, self.install_root)
            if there is not None and not self._is_installed(spoken):
                _log.info("%s is run from %s, where PyAirbyte has installed it", self.name, there)
                return LocalExecutor(self.name, spoken, there)
        return self._known(spoken)

    def _is_installed(self, spoken: Protocol) -> bool:
        known = known_connectors().get(self.name)
        if known is None or known.install is not InstallType.PYTHON:
            return False
        executor = self._known(spoken)
        return isinstance(executor, PythonExecutor) and executor.environment.installed() is not None

    def _known(self, spoken: Protocol) -> Executor:
        if self.pip_url:
            return self._python(self.pip_url, spoken)
        known = known_connectors().get(self.name)
        if known is None:
            raise unknown(self.name)
        if known.install is InstallType.DOCKER:
            return self._docker(spoken)
        if known.install is InstallType.YAML:
            raise ConfigError(
                f"{self.name} is a low-code connector without a package: it is a manifest, which "
                "is not shipped.",
                hint="Give source_manifest= (the document, a path or a URL), or docker_image=True.",
            )
        package, *beside = known.package.split()
        wanted = f"{known.distribution}=={self._version}" if self._version else package
        return self._python(" ".join([wanted, *beside]), spoken)

    def _python(self, requirement: str, spoken: Protocol) -> Executor:
        environment = Environment(
            self.name,
            requirement,
            self._interpreter,
            install_root(self.install_root),
            this_python=self.use_python is True,
        )
        return PythonExecutor(environment, spoken, install_if_missing=self.install_if_missing)

    def _manifest(self) -> Executor:
        given = self.source_manifest
        if given is None or isinstance(given, bool):
            raise ConfigError(
                f"source_manifest=True would look {self.name} up in a registry, which is not done.",
                hint="Give the manifest itself: the document, a path or a URL.",
            )
        requirement = f"airbyte-cdk=={self._version}" if self._version else "airbyte-cdk"
        where = install_root(self.install_root)
        environment = Environment(
            DECLARATIVE, requirement, self._interpreter, where, program=DECLARATIVE
        )
        return ManifestExecutor(
            self.name,
            given,
            environment,
            allow_custom_code=self.allow_custom_code,
            install_if_missing=self.install_if_missing,
        )

    def _docker(self, spoken: Protocol) -> Executor:
        image = self.docker_image if isinstance(self.docker_image, str) else f"airbyte/{self.name}"
        if not _tagged(image):
            image = f"{image}:{self._version or 'latest'}"
        return DockerExecutor(self.name, image, spoken, use_host_network=self.use_host_network)

    @property
    def _version(self) -> str | None:
        return None if self.version == "latest" else self.version

    @property
    def _interpreter(self) -> str:
        """The interpreter that was asked for: a version or a path, or "" for none."""
        if self.use_python is None or isinstance(self.use_python, bool):
            return ""
        return str(self.use_python)


_WAYS = ("pip_url", "local_executable", "docker_image", "source_manifest")


def _installed_by_pyairbyte(name: str, root: Path | str | None) -> Path | None:
    """Return the program in an environment that PyAirbyte has made for a connector, or None.

    A project that comes from PyAirbyte has its connectors already. That matters most for the image
    of a container without a network.
    """
    named = os.environ.get("AIRBYTE_INSTALL_DIR") or os.environ.get("AIRBYTE_PROJECT_DIR")
    folder = Path(root or named or Path.cwd()).expanduser().absolute()
    program = folder / f".venv-{name}" / "bin" / name
    if program.is_file() and os.access(program, os.X_OK):
        return program
    return None


def _tagged(image: str) -> bool:
    return ":" in image.rpartition("/")[2]
