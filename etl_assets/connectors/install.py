"""One isolated environment per connector.

It is made once, completely or not at all, and kept once its program has proven to start.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from etl_assets import ownership
from etl_assets.connectors import interpreters, progress
from etl_assets.connectors.newest import Answer, answer_for
from etl_assets.connectors.requirements import INSTALL_SECONDS, Asked, Pins, find_uv
from etl_assets.connectors.too_new import is_too_new, older_hint
from etl_assets.connectors.workspace import read_json
from etl_assets.exceptions import ConfigError, ConnectorError, ConnectorInstallationError
from etl_assets.redaction import redact
from etl_assets.redaction.logs import masked_logger

HOME = "ETL_ASSETS_HOME"
MARKER = "installed.json"
FORMAT = 1
OLD_SETUPTOOLS = "setuptools<81"
"""The last versions with `pkg_resources`, which older taps import without requiring it."""

SHOWN_LINES = 3
_OF_SETUPTOOLS = ("pkg_resources", "No module named 'distutils'")
"""Parts of the logs of programs that need these."""

LOG_CHARACTERS = 4000
"""How many characters of the end of a log an error shows."""

_log = masked_logger("etl_assets.connectors")


@dataclass(frozen=True)
class Installed:
    """What an environment holds.

    Args:
        name: The connector.
        requirement: What was asked for, redacted.
        version: The version of the connector's package, or "" if it is not known.
        python: The version of its interpreter.
        packages: Every distribution and its version.
        executable: The program.
        at: When it was installed, in ISO 8601.
        distribution: The connector's own among the packages, or "" if it is not known.
    """

    name: str
    requirement: str
    version: str
    python: str
    packages: Mapping[str, str]
    executable: str
    at: str
    format: int = FORMAT
    distribution: str = ""


@dataclass(frozen=True)
class Environment:
    """Where a connector is, or is going to be, installed.

    Args:
        name: The connector, such as `source-faker` or `tap-jsonl`.
        requirement: What pip installs: `airbyte-source-faker==6.2.26`, a URL, or `-e` and a path.
            Spaces separate several requirements, `--no-deps` and `--ignore-requires-python`.
        python: The interpreter: a version such as `3.11`, or a path. "" means this one, or another
            one if the connector does not support this one.
        root: The directory of all environments.
        program: The program's name. By default it is the connector's, or the only one its package
            has.
        extras: Requirements that are installed as well.
        this_python: If `python` is "", use this interpreter and no other.
    """

    name: str
    requirement: str
    python: str = ""
    root: Path = field(
        default_factory=lambda: install_root()  # noqa: PLW0108 - it is defined below
    )
    program: str = ""
    extras: Sequence[str] = ()
    this_python: bool = False

    @property
    def folder(self) -> Path:
        """Its directory, which depends on the requirement and the interpreter."""
        asked = json.dumps([self.requirement, self.python, *self.extras])
        safe = re.sub(r"[^A-Za-z0-9._-]", "_", self.name).lstrip(".") or "connector"
        return self.root / f"{safe[:80]}-{hashlib.sha256(asked.encode()).hexdigest()[:8]}"

    @property
    def bin(self) -> Path:
        """The directory of its programs."""
        return self.folder / "bin"

    def installed(self) -> Installed | None:
        """Return what is installed, or None; an incomplete installation does not count."""
        document = read_json(self.folder / MARKER)
        if not isinstance(document, dict) or document.get("format") != FORMAT:
            return None
        found = Installed(**document)
        if not os.access(found.executable, os.X_OK):
            return None
        return found


def install_root(given: str | Path | None = None) -> Path:
    """Return the directory of all environments.

    It is the given one, else `$ETL_ASSETS_HOME/connectors`, else `./.etl_assets/connectors`.
    """
    if given:
        return Path(given).expanduser().absolute()
    home = os.environ.get(HOME) or ".etl_assets"
    return Path(home).expanduser().absolute() / "connectors"


Prove = Callable[[Path], str | None]
"""Starts the program at a path. Returns None if it runs, else the end of its log."""


def install(environment: Environment, prove: Prove, *, pinned: Pins | None = None) -> Installed:
    """Create an environment unless it exists, after waiting for any other process that creates it.

    Args:
        environment: The environment.
        prove: Starts what was installed.
        pinned: The versions of a lock file.

    Raises:
        ConfigError: The interpreter is missing, or the connector does not support it.
        ConnectorInstallationError: The packages cannot be installed, or the program does not start.
    """
    environment.root.mkdir(parents=True, exist_ok=True)
    with _locked(environment.folder.with_suffix(".lock")):
        found = environment.installed()
        if found is not None:
            return found
        _make_way(environment)
        making = _mark_of(environment)
        making.write_bytes(ownership.mark(environment.folder.name))
        _log.info(
            "installing %s (%s) into %s",
            environment.name,
            redact(environment.requirement),
            environment.folder,
        )
        try:
            made = _Installation(environment).run(prove, pinned)
            write_atomically(environment.folder / MARKER, asdict(made))
        finally:
            if environment.installed() is None:  # it failed, or was cancelled
                shutil.rmtree(environment.folder, ignore_errors=True)
            making.unlink(missing_ok=True)
    return made


def uninstall(environment: Environment) -> None:
    """Remove an environment.

    Raises:
        ConfigError: There is a folder of this name that `install` has not made.
    """
    if environment.root.is_dir():
        with _locked(environment.folder.with_suffix(".lock")):
            if os.path.lexists(environment.folder) and not _is_ours(environment):
                folder = str(environment.folder)
                raise ConfigError(
                    f"{folder!r} was not made by this library, so it is not removed.",
                    hint=f"Remove it yourself: rm -r {shlex.quote(folder)}",
                )
            shutil.rmtree(environment.folder, ignore_errors=True)
            _mark_of(environment).unlink(missing_ok=True)


def _mark_of(environment: Environment) -> Path:
    """Return the file that stands beside an environment as long as it is incomplete."""
    return environment.root / f"{environment.folder.name}.making"


def _make_way(environment: Environment) -> None:
    """Free the place of an environment.

    What `install` has made is removed, and anything else is moved aside.
    """
    folder = environment.folder
    if not os.path.lexists(folder):
        return
    if _is_ours(environment):
        shutil.rmtree(folder, ignore_errors=True)
        return
    aside = folder.with_name(f"{folder.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%f}")
    folder.rename(aside)
    _log.warning(
        "%s was in the way, and nothing proves that this library made it: it was renamed to %s",
        folder,
        aside,
    )


def _is_ours(environment: Environment) -> bool:
    """Return whether `install` made what is in the place of an environment, if only partly."""
    if environment.folder.is_symlink():
        return False
    document = read_json(environment.folder / MARKER)
    has_marker = isinstance(document, dict) and "requirement" in document
    if has_marker and document.get("name") == environment.name:
        return True
    try:
        return _mark_of(environment).read_bytes() == ownership.mark(environment.folder.name)
    except OSError:
        return False


class CannotInstallError(ConnectorInstallationError):
    """What a connector needs cannot be installed now; the network may be the cause."""

    retryable = True


class _Installation:
    """One attempt at creating an environment."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self._uv = find_uv()
        self._python = str(environment.bin / "python")
        self._asked = Asked.of(environment.requirement)

    def run(self, prove: Prove, pinned: Pins | None) -> Installed:
        self._tell("reading which Python it takes")
        answer = self._answer(pinned)
        python = self._chosen_python(answer)
        lines = self._asked.pinned(pinned) if pinned else self._lines(answer)
        lines = [*lines, *self.environment.extras]
        executable, problem = self._started(python, lines, prove, pinned, answer)
        distributions = self._ask()
        if problem is not None:
            raise self._does_not_start(problem, distributions["python"], answer)
        self._tell_of_older(answer, distributions)
        return Installed(
            name=self.environment.name,
            requirement=redact(self.environment.requirement),
            version=distributions["versions"].get(distributions["main"], ""),
            python=distributions["python"],
            packages=distributions["versions"],
            executable=str(executable),
            distribution=distributions["main"],
            at=datetime.now(UTC).isoformat(timespec="seconds"),
        )

    def _started(
        self,
        python: str,
        lines: Sequence[str],
        prove: Prove,
        pinned: Pins | None,
        answer: Answer | None,
    ) -> tuple[Path, str | None]:
        """Make the environment with a Python.

        If the connector turns out not to work with it because it is too new, an older Python of
        this machine is tried.
        """
        executable, problem = self._made(python, lines, prove, pinned)
        is_chosen = self.environment.python or self.environment.this_python
        if is_chosen or problem is None or not is_too_new(problem):
            return executable, problem
        taken = self._ask()["python"]
        for older in interpreters.older_here(taken, answer.requires if answer else ""):
            self._tell(
                f"Python {taken} is too new for it, whatever it says that it takes: "
                f"{older.version} is tried"
            )
            shutil.rmtree(self.environment.folder)
            executable, problem = self._made(older.path, lines, prove, pinned)
            taken = older.version
            if problem is None or not is_too_new(problem):
                break
        return executable, problem

    def _made(
        self, python: str, lines: Sequence[str], prove: Prove, pinned: Pins | None
    ) -> tuple[Path, str | None]:
        """Make the environment with one Python, and return its program.

        The second value is the end of the program's log if it does not start, else None.
        """
        self._tell(f"making an environment with Python {python}")
        self._make(python)
        self._pip(lines, pinned)
        executable = self._program()
        self._tell("starting it once")
        problem = prove(executable)
        if problem is not None and any(module in problem for module in _OF_SETUPTOOLS):
            _log.info("%s needs %s: installing it beside", self.environment.name, OLD_SETUPTOOLS)
            self._pip([OLD_SETUPTOOLS])
            problem = prove(executable)
        return executable, problem

    def _does_not_start(self, problem: str, python: str, answer: Answer | None) -> ConnectorError:
        older = interpreters.minor_below(python, answer.requires if answer else "")
        lacking = f'pip_url="{self._asked.distribution or self.environment.name} <what it lacks>"'
        hint = (
            self._python_hint()
            or older_hint(problem, python, older)
            or "Ask for another version= of it, or name what it lacks beside it in pip_url, such "
            f"as {lacking}."
        )
        return ConnectorInstallationError(
            f"{self.environment.name} was installed, but does not start under Python {python}.",
            connector_name=self.environment.name,
            log_text=problem,
            hint=hint,
        )

    def _tell(self, what: str) -> None:
        progress.tell(f"{self.environment.name}: {what}")

    def _answer(self, pinned: Pins | None) -> Answer | None:
        line = self._asked.lines[0] if self._asked.lines else ""
        if pinned is not None:
            version = pinned.packages.get(pinned.distribution)
            line = f"{pinned.distribution}=={version}" if version and "/" not in line else line
        return answer_for(self._asked, line) if line else None

    def _chosen_python(self, answer: Answer | None) -> str:
        """Return the interpreter to make the environment with: a path, or what uv is to fetch.

        Raises:
            ConfigError: There is none, or none that the connector takes.
        """
        wanted = self.environment.python
        named, requires = self.environment.name, ""
        if answer is not None:
            named, requires = f"{named} {answer.version}", answer.requires
        if wanted:
            return self._wanted_python(wanted, named, requires)
        this = interpreters.this()
        if this.is_taken_by(requires):
            return this.path
        if self.environment.this_python:
            raise interpreters.refused(named, requires, "use_python=True", this.version)
        here = interpreters.all_here()
        found = next((one for one in here if one.is_taken_by(requires)), None)
        if found is not None:
            self._tell(
                f"{named} requires Python {requires}, and this is {this.version}: "
                f"{found.version} is taken"
            )
            return found.path
        if self._uv:
            return interpreters.missing_minor(requires)
        raise interpreters.none_fits(named, requires, here)

    def _wanted_python(self, wanted: str, named: str, requires: str) -> str:
        found = interpreters.of_version(wanted)
        if found is not None and not found.is_taken_by(requires):
            raise interpreters.refused(named, requires, f"use_python={wanted!r}", found.version)
        if found is None and not self._uv:
            there = ", ".join(f"{one.version} ({one.path})" for one in interpreters.all_here())
            raise ConfigError(
                f"There is no Python {wanted!r} here.",
                hint=f"Install it, or install uv, which fetches it. Found: {there}.",
            )
        return found.path if found else wanted

    def _lines(self, answer: Answer | None) -> Sequence[str]:
        """Return the lines to install, with the newest version that was found.

        Without a version, the installer might choose a far older one.
        """
        from packaging.requirements import InvalidRequirement, Requirement

        lines = self._asked.lines
        if answer is None or len(lines) != 1:
            return lines
        try:
            one = Requirement(lines[0])
        except InvalidRequirement:
            return lines  # a path or URL
        if one.url or one.marker:
            return lines
        extras = f"[{','.join(sorted(one.extras))}]" if one.extras else ""
        return [f"{one.name}{extras}=={answer.version}"]

    def _tell_of_older(self, answer: Answer | None, distributions: Mapping[str, Any]) -> None:
        version = distributions["versions"].get(distributions["main"], "")
        if answer is not None and version and version != answer.version:
            _log.warning(
                "%s: %s was installed, not the newest version, %s: its neighbours need that",
                self.environment.name,
                version,
                answer.version,
            )

    def _make(self, python: str) -> None:
        folder = str(self.environment.folder)
        if self._uv:
            self._run(
                [self._uv, "venv", "--quiet", "--python", python, folder], "make an environment"
            )
        else:
            self._run([python, "-m", "venv", folder], "make an environment")

    def _pip(self, lines: Sequence[str], pinned: Pins | None = None) -> None:
        # In a file: a requirement may be a URL with a password, and everybody can see arguments.
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "requirements.txt"
            file.touch(mode=0o600)
            file.write_text("\n".join(lines) + "\n")
            options = ["--quiet", "-r", str(file)]
            if pinned or self._asked.no_deps:
                options.append("--no-deps")
            if self._uv:
                command = [self._uv, "pip", "install", "--python", self._python]
            else:
                command = [self._python, "-m", "pip", "install", "--disable-pip-version-check"]
                # uv has no such option, and needs none: it ignores upper bounds.
                if self._asked.any_python:
                    options.append("--ignore-requires-python")
            command += options
            self._tell(f"installing {', '.join(redact(line) for line in lines[:SHOWN_LINES])}")
            self._run(command, "install its packages", cwd=folder)
        self._check_python()

    def _run(self, command: list[str], what: str, cwd: str | None = None) -> str:
        # Like pip, uv is to trust the certificates that the machine trusts.
        variables = {"UV_SYSTEM_CERTS": "true", "UV_COMPILE_BYTECODE": "1", **os.environ}
        for name in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME"):
            variables.pop(name, None)
        variables["PYTHONDONTWRITEBYTECODE"] = ""
        try:
            done = progress.run(
                command,
                f"{self.environment.name}: still at it: {what}",
                # Not the project's directory: its settings (such as constraints) do not apply.
                cwd=cwd or tempfile.gettempdir(),
                env=variables,
                timeout=INSTALL_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise self._failed(what, str(error)) from error
        if done.returncode:
            log = redact(done.stderr.decode("utf-8", "replace").strip())[-LOG_CHARACTERS:]
            cause = ConnectorError(
                f"{Path(command[0]).name} ended with exit code {done.returncode}.", log_text=log
            )
            raise self._failed(what, redact(self.environment.requirement), log) from cause
        return done.stdout.decode("utf-8", "replace")

    def _failed(self, what: str, detail: str, log: str | None = None) -> ConnectorInstallationError:
        name = self.environment.name
        return CannotInstallError(
            f"{name}: cannot {what} ({detail}).", connector_name=name, log_text=log
        )

    def _ask(self) -> dict[str, Any]:
        names = [self._asked.distribution, self.environment.name]
        output = self._run([self._python, "-I", "-c", _ASK, *names], "ask what it holds")
        answer: dict[str, Any] = json.loads(output)
        return answer

    def _check_python(self) -> None:
        hint = self._python_hint()
        if hint and not self._asked.any_python:
            raise ConfigError(f"{self.environment.name} does not take this Python.", hint=hint)

    def _python_hint(self) -> str:
        """Return a hint if the connector requires another Python, which uv does not enforce."""
        from packaging.specifiers import InvalidSpecifier, SpecifierSet

        asked = self._ask()
        requires, python = asked["requires"], asked["python"]
        try:
            is_supported = SpecifierSet(requires).contains(python, prereleases=True)
        except InvalidSpecifier:
            return ""
        if is_supported:
            return ""
        return (
            f'It requires Python {requires}, and this is {python}: give use_python="3.x", or try '
            "it nevertheless with --ignore-requires-python in its pip_url."
        )

    def _program(self) -> Path:
        environment = self.environment
        for name in filter(None, (environment.program, environment.name)):
            if (environment.bin / name).exists():
                return environment.bin / name
        scripts: list[str] = self._ask()["scripts"]
        if len(scripts) == 1:
            return environment.bin / scripts[0]
        raise ConfigError(
            f"{redact(environment.requirement)} has no program {environment.name!r}.",
            hint=f"It has: {', '.join(scripts) or 'none'}. Name the connector as its program is "
            "called.",
        )


_ASK = """
import json, platform, sys
from importlib.metadata import distributions
def canonical(name): return name.lower().replace("_", "-").replace(".", "-")
wanted, program = canonical(sys.argv[1]), sys.argv[2]
found = {canonical(d.metadata["Name"]): d for d in distributions() if d.metadata["Name"]}
def scripts(d): return [e.name for e in d.entry_points if e.group == "console_scripts"]
owners = [name for name, d in found.items() if program in scripts(d)]
main = wanted if wanted in found else next(iter(owners), "")
one = found.get(main)
print(json.dumps({
    "python": platform.python_version(),
    "main": main,
    "requires": (one.metadata["Requires-Python"] or "") if one else "",
    "scripts": scripts(one) if one else [],
    "versions": {name: d.version for name, d in sorted(found.items()) if name != "pip"},
}))
"""


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def write_atomically(path: Path, document: Any) -> None:
    """Write a JSON document, completely or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", "utf-8")
    temporary.replace(path)
