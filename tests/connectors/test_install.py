"""Environments of connectors: whole or not there, made once, and never in a run unless that is allowed."""

import json
import os
import signal
import stat
import subprocess
import sys
import threading
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from etl_assets.connectors import install as install_module
from etl_assets.connectors import interpreters, newest, progress
from etl_assets.connectors.chosen import Choice
from etl_assets.connectors.executors import (
    DockerExecutor,
    LocalExecutor,
    ManifestExecutor,
    PythonExecutor,
)
from etl_assets.connectors.install import Environment, install, install_root
from etl_assets.connectors.names import InstallType, get_available_connectors, known_connectors
from etl_assets.connectors.requirements import Asked, Pins
from etl_assets.connectors.runs import in_run
from etl_assets.connectors.too_new import is_too_new
from etl_assets.exceptions import (
    ConfigError,
    ConnectorError,
    ConnectorInstallationError,
    ConnectorNotFoundError,
)
from etl_assets.sources.connectors import get_source

from .conftest import Wheel


def environment(requirement: str, root: Path, **options: Any) -> Environment:
    return Environment("tap-tiny", requirement, root=root, **options)


def executor(requirement: str, root: Path, **options: Any) -> PythonExecutor:
    made = Choice("tap-tiny", pip_url=requirement, install_root=root, **options).executor()
    assert isinstance(made, PythonExecutor)
    return made


def test_it_is_installed_once_proven_and_used_again(wheel: Wheel, tmp_path: Path) -> None:
    one = executor(wheel(), tmp_path / "root")
    assert one.version is None
    assert not (tmp_path / "root").exists()  # making it installs nothing
    one.ensure()
    assert one.version == "1.2"
    marker = one.environment.folder / "installed.json"
    made_at = marker.stat().st_mtime_ns
    again = executor(wheel(), tmp_path / "root")
    again.ensure()
    assert marker.stat().st_mtime_ns == made_at
    with again.start("--version") as process:
        assert b"".join(process.chunks()) == b"tap-tiny\n"
    again.uninstall()
    assert not one.environment.folder.exists()


def test_what_does_not_start_is_not_installed(wheel: Wheel, tmp_path: Path) -> None:
    one = executor(wheel('sys.exit("it needs libfoo")'), tmp_path / "root")
    with pytest.raises(ConnectorError, match="libfoo"):
        one.ensure()
    assert one.version is None
    assert not one.environment.folder.exists()


def test_what_cannot_be_installed_is_an_error_that_has_the_log_of_pip(tmp_path: Path) -> None:
    one = executor(str(tmp_path / "nothing.whl"), tmp_path / "root")
    with pytest.raises(ConnectorInstallationError, match="nothing") as caught:
        one.ensure()
    assert caught.value.connector_name == "tap-tiny"
    assert caught.value.retryable  # it may have been the network
    cause = caught.value.__cause__
    assert isinstance(cause, ConnectorError)
    assert "nothing" in str(cause.log_text)
    with pytest.raises(ConnectorInstallationError, match="not installed"):
        executor("tap-tiny", tmp_path / "root", install_if_missing=False).ensure()
    with pytest.raises(ConnectorNotFoundError, match="is not there"):
        get_source("source-mine", local_executable=tmp_path / "nothing").executor.ensure()


def test_an_executor_answers_as_pyairbytes_does(wheel: Wheel, tmp_path: Path) -> None:
    one = executor(wheel(), tmp_path / "root")
    with pytest.raises(ConnectorInstallationError, match="not installed"):
        one.ensure_installation(auto_fix=False)
    with pytest.raises(ConnectorInstallationError, match="version of tap-tiny is not known"):
        one.get_installed_version(raise_on_error=True)
    assert one.get_installed_version() is None
    one.ensure_installation()
    assert one.get_installed_version(recheck=True) == "1.2"
    assert one.install_root == tmp_path / "root"
    one.install_root = tmp_path / "other"
    assert one.get_installed_version() is None
    one.install()
    assert one.get_installed_version() == "1.2"
    assert (tmp_path / "other" / one.environment.folder.name).is_dir()


def test_what_pyairbyte_has_installed_is_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    program = tmp_path / "here" / ".venv-source-faker" / "bin" / "source-faker"
    program.parent.mkdir(parents=True)
    program.touch(mode=0o755)

    def chosen(**given: Any) -> Any:
        return get_source("source-faker", **given).executor

    assert isinstance(chosen(), PythonExecutor)  # it is not where PyAirbyte would look
    caplog.set_level("INFO")
    for variable in ("AIRBYTE_INSTALL_DIR", "AIRBYTE_PROJECT_DIR"):
        with monkeypatch.context() as patch:
            patch.setenv(variable, str(tmp_path / "here"))
            assert chosen().executable == str(program)
    assert f"source-faker is run from {program}" in caplog.text
    assert chosen(install_root=tmp_path / "here").executable == str(program)
    monkeypatch.chdir(tmp_path / "here")
    assert chosen().executable == str(program)
    for asked in ({"version": "6.2.0"}, {"pip_url": "airbyte-source-faker"}, {"use_python": True}):
        assert isinstance(
            chosen(**asked), PythonExecutor
        )  # of which nobody says that it is this one
    installed = chosen(version="latest").environment
    marker = {
        "name": "source-faker",
        "requirement": "",
        "version": "1",
        "python": "3",
        "packages": {},
        "at": "",
    }
    (installed.folder).mkdir(parents=True)
    (installed.folder / "installed.json").write_text(
        json.dumps({**marker, "executable": str(program), "format": 1})
    )
    assert isinstance(chosen(), PythonExecutor)  # our own goes before it


def test_a_half_install_is_made_anew(wheel: Wheel, tmp_path: Path) -> None:
    one = executor(wheel(), tmp_path / "root")
    one.environment.bin.mkdir(parents=True)
    (one.environment.bin / "tap-tiny").write_text("half")
    assert one.version is None
    one.ensure()
    assert one.version == "1.2"


def test_what_is_not_proven_ours_is_moved_aside_and_never_removed(
    wheel: Wheel, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    one = executor(wheel(), tmp_path / "root")
    one.environment.folder.mkdir(parents=True)
    (one.environment.folder / "thesis.txt").write_text("not ours")
    with pytest.raises(ConfigError, match="was not made by this library"):
        one.uninstall()
    one.ensure()
    (aside,) = tmp_path.glob("root/*.before-*")
    assert (aside / "thesis.txt").read_text() == "not ours"
    assert str(aside) in caplog.text
    one.uninstall()
    assert not one.environment.folder.exists()


def test_an_install_that_was_killed_is_removed_and_made_anew(wheel: Wheel, tmp_path: Path) -> None:
    one = executor(wheel(), tmp_path / "root")
    where = one.environment
    script = (
        "import os, signal, sys; from pathlib import Path; from etl_assets.connectors import install\n"
        "where = install.Environment(sys.argv[1], sys.argv[2], root=Path(sys.argv[3]))\n"
        "def half(*_): where.bin.mkdir(parents=True); os.kill(os.getpid(), signal.SIGKILL)\n"
        "install._Installation.run = half\n"
        "install.install(where, lambda _: None)\n"
    )
    arguments = [sys.executable, "-c", script, where.name, where.requirement, str(where.root)]
    assert subprocess.run(arguments, check=False).returncode == -signal.SIGKILL
    assert where.bin.exists()
    one.ensure()
    assert one.version == "1.2"
    assert sorted(path.suffix for path in where.root.iterdir()) == ["", ".lock"]


def test_two_at_once_make_it_once(wheel: Wheel, tmp_path: Path) -> None:
    where = environment(wheel(), tmp_path / "root")
    proven: list[Path] = []

    def prove(path: Path) -> None:
        proven.append(path)

    threads = [threading.Thread(target=install, args=(where, prove)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(proven) == 1


def only_this(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no other interpreter be found, and no uv that would fetch one."""
    monkeypatch.setattr(interpreters, "all_here", lambda: [interpreters.this()])
    monkeypatch.setattr(install_module, "find_uv", lambda: None)


def nothing_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        pytest.fail("something was built")

    monkeypatch.setattr(install_module._Installation, "_make", never)


def test_a_python_that_is_missing_is_named_before_anything_is_built(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_this(monkeypatch)
    nothing_is_built(monkeypatch)
    one = executor(wheel(requires_python=">=3.8,<3.10"), tmp_path / "root")
    with pytest.raises(
        ConfigError, match=r"tap-tiny 1\.2 requires Python (>=3\.8,<3\.10|<3\.10,>=3\.8)"
    ) as raised:
        one.ensure()
    assert "Python 3.9 is missing" in str(raised.value)
    assert "pyenv install 3.9" in str(raised.value)
    assert f"Found: {interpreters.this().version}" in str(raised.value)


@pytest.mark.parametrize("given", [True, "this"])
def test_a_python_that_was_asked_for_is_not_replaced(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: bool | str
) -> None:
    nothing_is_built(monkeypatch)
    python = interpreters.this().minor if given == "this" else given
    one = executor(wheel(requires_python="<3.10"), tmp_path / "root", use_python=python)
    with pytest.raises(
        ConfigError, match=rf"requires Python <3\.10, and use_python={python!r} is 3\."
    ):
        one.ensure()
    monkeypatch.setattr(install_module, "find_uv", lambda: None)
    other = executor(wheel(), tmp_path / "root", use_python="3.99")
    with pytest.raises(ConfigError, match=r"no Python '3\.99' here.*Found: 3\."):
        other.ensure()


def test_another_python_that_is_here_is_taken(
    wheel: Wheel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = interpreters.this()
    others = [one for one in interpreters.all_here() if one.minor not in {here.minor, "3.6", "3.7"}]
    if not others:
        pytest.skip("there is no other Python here")
    monkeypatch.setenv("ETL_ASSETS_PROGRESS", "plain")
    one = executor(wheel(requires_python=f"=={others[0].minor}.*"), tmp_path / "root")
    one.ensure()
    found = one.environment.installed()
    assert found is not None
    assert found.python == others[0].version
    said = capsys.readouterr().err
    assert (
        f"requires Python =={others[0].minor}.*, and this is {here.version}: {others[0].version} is taken"
        in said
    )
    assert "tap-tiny: installing " in said
    assert "tap-tiny: starting it once" in said


TOO_NEW = """
    if sys.version_info >= ({0}):
        sys.exit("{1}")
"""
GONE = [
    "AttributeError: module 'collections' has no attribute 'MutableMapping'",
    "ImportError: cannot import name 'sre_parse' from 're' (/usr/lib/python3.11/re/__init__.py)",
    "ModuleNotFoundError: No module named 'imp'",
    "ValueError: mutable default <class 'x.JsonDecoder'> for field _decoder is not allowed: use default_factory",
]


def test_an_older_python_is_tried_where_this_one_is_too_new_whatever_it_says_to_take(
    wheel: Wheel,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here = interpreters.this()
    older = [
        one
        for one in interpreters.all_here()
        if one.is_older_than(here.version) and one.minor not in {"3.6", "3.7"}
    ]
    if not older:
        pytest.skip("there is no older Python here")
    monkeypatch.setenv("ETL_ASSETS_PROGRESS", "plain")
    body = TOO_NEW.format(", ".join(here.version.split(".")[:2]), GONE[0])
    one = executor(wheel(body), tmp_path / "root")
    one.ensure()
    found = one.environment.installed()
    assert found is not None
    assert found.python == older[0].version
    told = capsys.readouterr().err
    assert (
        f"Python {here.version} is too new for it, whatever it says that it takes: {older[0].version}"
        in told
    )
    with one.start() as process:
        assert b"".join(process.chunks()) == b"tap-tiny\n"


@pytest.mark.parametrize("said", GONE)
def test_what_python_has_no_longer_is_told_from_what_is_not_installed(said: str) -> None:
    assert is_too_new(f"Traceback (most recent call last):\n  File ...\n{said}")


@pytest.mark.parametrize(
    "said",
    [
        "ModuleNotFoundError: No module named 'pytz'",
        "ImportError: cannot import name 'Markup' from 'jinja2' (/x/jinja2/__init__.py)",
        "AttributeError: module 'sqlalchemy' has no attribute 'select'",
        "KeyError: 'config'",
    ],
)
def test_what_no_other_python_would_have_is_not_put_down_to_this_one(said: str) -> None:
    assert not is_too_new(said)


def test_a_python_that_is_too_new_is_told_with_the_one_to_give(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = TOO_NEW.format("3, 8", GONE[0])
    here = interpreters.this()
    minor = int(here.minor.split(".")[1])
    path = wheel(body, requires_python=f">=3.6,!=3.{minor - 1}.*")
    with pytest.raises(
        ConnectorError, match=rf"does not start under Python {here.version}"
    ) as raised:
        executor(
            path, tmp_path / "root", use_python=here.minor
        ).ensure()  # what was asked for is not replaced
    assert f'give use_python="3.{minor - 2}"' in str(raised.value)
    only_this(monkeypatch)
    with pytest.raises(ConnectorError, match="is too new for it"):
        executor(path, tmp_path / "root").ensure()
    with pytest.raises(ConnectorError, match="name what it lacks beside it in pip_url") as raised:
        executor(wheel("import pytz"), tmp_path / "other").ensure()
    assert "use_python" not in str(raised.value)


def test_an_older_version_is_never_taken_in_silence(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    only_this(monkeypatch)
    wheel(version="0.1")
    wheel(requires_python="<3.9")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(ConfigError, match=r"tap-tiny 1\.2 requires Python <3\.9"):
        executor("tap-tiny", tmp_path / "root").ensure()
    older = executor("tap-tiny<1", tmp_path / "root")
    older.ensure()
    assert older.version == "0.1"


def test_a_long_installation_says_that_it_goes_on(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "EVERY_SECONDS", 0.2)
        patch.setenv("ETL_ASSETS_PROGRESS", "plain")
        command = [sys.executable, "-c", "import time; print('x'); time.sleep(1)"]
        done = progress.run(
            command, "tap-x: still at it", cwd="/", env=dict(os.environ), timeout=30
        )
        assert done.stdout == b"x\n"
        with pytest.raises(subprocess.TimeoutExpired):
            progress.run(command, "tap-x", cwd="/", env=dict(os.environ), timeout=0.1)
    assert "tap-x: still at it, for " in capsys.readouterr().err


def test_a_python_it_does_not_take_is_told_afterwards_where_nobody_could_be_asked(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(newest, "_pip", lambda: None)
    # What uv lets pass (an upper bound), pip refuses by itself.
    one = executor(wheel(requires_python=">=3.8,<3.10"), tmp_path / "root")
    with pytest.raises((ConfigError, ConnectorError), match=r"(?i)requires.*python"):
        one.ensure()
    monkeypatch.setattr(
        install_module._Installation, "_ask", lambda self: {"requires": "<3.10", "python": "3.11.7"}
    )
    hint = install_module._Installation(one.environment)._python_hint()
    assert "use_python" in hint


def test_old_setuptools_are_put_beside_what_needs_them(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []
    kept = install_module._Installation._pip

    def pip(self: Any, requirements: Any, pinned: Any = None) -> None:
        asked.append(list(requirements))
        if requirements != [install_module.OLD_SETUPTOOLS]:
            kept(self, requirements, pinned)

    monkeypatch.setattr(install_module._Installation, "_pip", pip)
    answers = iter(["ModuleNotFoundError: No module named 'pkg_resources'", None])
    install(environment(wheel(), tmp_path / "root"), lambda _: next(answers))
    assert asked[1] == ["setuptools<81"]


def test_in_a_run_a_missing_connector_fails_at_once(
    wheel: Wheel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = executor(wheel(), tmp_path / "root")
    with in_run():
        with pytest.raises(ConfigError, match=r"etl-assets connectors install -f definitions\.py"):
            one.ensure()
        monkeypatch.setenv("ETL_ASSETS_INSTALL_IN_RUN", "1")
        one.ensure()
    assert one.version == "1.2"


def test_without_install_if_missing_it_is_never_installed(wheel: Wheel, tmp_path: Path) -> None:
    one = executor(wheel(), tmp_path / "root", install_if_missing=False)
    with pytest.raises(ConfigError, match="not installed"):
        one.ensure()
    one.install()
    one.ensure()


def test_a_requirement_cannot_carry_options(tmp_path: Path) -> None:
    one = executor("--index-url=http://elsewhere.test tap-tiny", tmp_path / "root")
    with pytest.raises(ConfigError, match="has an option"):
        one.ensure()


def test_several_requirements_and_two_options_are_words_of_one(
    wheel: Wheel, tmp_path: Path
) -> None:
    asked = Asked.of(f"--no-deps --ignore-requires-python tap-a==1.0 {tmp_path} 'b >=1'")
    assert (asked.lines, asked.distribution) == (["tap-a==1.0", str(tmp_path), "b >=1"], "tap-a")
    assert (asked.no_deps, asked.any_python) == (True, True)
    assert Asked.of("tap-a @ https://x.test/a.whl").lines == ["tap-a @ https://x.test/a.whl"]
    assert Asked.of("tap-a >=1, <2 ; python_version>'3'").distribution == "tap-a"
    refused = executor(wheel(requires_python="<3.6"), tmp_path / "root")
    with pytest.raises((ConfigError, ConnectorError)):
        refused.ensure()
    taken = executor(
        f"--ignore-requires-python {refused.environment.requirement}", tmp_path / "root"
    )
    taken.ensure()
    assert taken.version == "1.2"


def test_a_lock_installs_what_it_pins_and_a_file_from_where_it_was(
    wheel: Wheel, tmp_path: Path
) -> None:
    path = wheel()
    made = executor(path, tmp_path / "one").install_pinned(None)
    assert made.distribution == "tap-tiny"
    pins = Pins(made.packages, {}, made.distribution)
    again = executor(path, tmp_path / "other").install_pinned(pins)
    assert again.packages == made.packages
    lines = Asked.of("tap-a").pinned(
        Pins({"tap-a": "1.0", "b": "2"}, {"tap-a": ["sha256:0"], "b": ["sha256:1"]})
    )
    assert lines == ["tap-a==1.0 --hash=sha256:0", "b==2 --hash=sha256:1"]


def test_the_root_is_the_given_one_else_of_the_environment_else_here(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ETL_ASSETS_HOME", raising=False)
    assert install_root() == tmp_path / ".etl_assets" / "connectors"
    monkeypatch.setenv("ETL_ASSETS_HOME", str(tmp_path / "home"))
    assert install_root() == tmp_path / "home" / "connectors"
    assert install_root("/given") == Path("/given")


def test_a_name_becomes_no_path(tmp_path: Path) -> None:
    folder = Environment("../../x/y", "z", root=tmp_path).folder
    assert folder.parent == tmp_path


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"version": "1", "pip_url": "x"}, "version and pip_url"),
        ({"version": "1", "local_executable": "/bin/x"}, "has the version it has"),
        ({"version": "1", "docker_image": "a/b:2"}, "has a tag"),
        ({"pip_url": "x", "docker_image": "a/b"}, "only one can be"),
        ({"use_python": False, "pip_url": "x"}, "means Docker"),
        ({"use_python": "3.11", "docker_image": True}, "of no use"),
        ({"source_manifest": True}, "Give the manifest itself"),
    ],
)
def test_arguments_that_contradict_each_other_are_told(
    arguments: dict[str, Any], said: str
) -> None:
    with pytest.raises(ConfigError, match=said):
        get_source("source-faker", **arguments)


def test_names_that_are_wrong_are_told_with_near_ones() -> None:
    with pytest.raises(ConfigError, match="'source-faker'"):
        get_source("source-fakerr")
    with pytest.raises(ConfigError, match="get_destination"):
        get_source("destination-duckdb")
    with pytest.raises(ConfigError, match="what the connector speaks"):
        get_source("something", pip_url="x")
    with pytest.raises(ConfigError, match="source_manifest"):
        get_source("source-calendly")
    assert isinstance(get_source("source-airtable").executor, PythonExecutor)


def test_the_index_has_a_name_once_and_in_its_kind() -> None:
    known = known_connectors()
    assert known["tap-postgres"].package == "meltanolabs-tap-postgres"
    assert known["source-faker"].package == "airbyte-source-faker"
    assert "source-faker" in get_available_connectors("python")
    assert "source-postgres" in get_available_connectors(InstallType.JAVA)
    assert "source-postgres" not in get_available_connectors("python")
    assert "source-pokeapi" in get_available_connectors("yaml")
    assert (known["source-pokeapi"].package, known["source-pokeapi"].install) == (
        "airbyte-source-pokeapi",
        "python",
    )
    assert known["target-duckdb"].package == "target-duckdb duckdb<1.2"
    assert known["destination-csv"].install == "docker"  # it was never a package
    assert sum(one.protocol == "airbyte" and bool(one.package) for one in known.values()) > 280
    assert set(get_available_connectors("any")) == set(known)
    with pytest.raises(ValueError, match="no_such"):
        get_available_connectors("no_such")


def test_docker_is_used_where_the_index_says_so() -> None:
    made = Choice("source-postgres", version="3.6").executor()
    assert isinstance(made, DockerExecutor)
    assert made.image == "airbyte/source-postgres:3.6"
    other = Choice("source-faker", docker_image="me/mine").executor()
    assert isinstance(other, DockerExecutor)
    assert other.image == "me/mine:latest"


FAKE_DOCKER = """#!/bin/sh
printf '%s\\n' "$@" > "{note}"
for one in "$@"; do case "$one" in *:/etl_assets) folder="${{one%:/etl_assets}}";; esac; done
cat "$folder/config.json" > "{note}.config"
echo '{{"type":"CONNECTION_STATUS","connectionStatus":{{"status":"SUCCEEDED"}}}}'
"""


def test_a_container_gets_its_files_and_nothing_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake = tmp_path / "docker"
    fake.write_text(FAKE_DOCKER.format(note=tmp_path / "note"))
    fake.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    get_source(
        "source-mysql", {"password": "pw-in-a-file"}, use_host_network=True
    ).test_connection()
    words = (tmp_path / "note").read_text().splitlines()
    assert words[0] == "run"
    assert words[-4:] == [
        "airbyte/source-mysql:latest",
        "check",
        "--config",
        "/etl_assets/config.json",
    ]
    assert words[words.index("--network") : words.index("--network") + 2] == ["--network", "host"]
    assert ["--user", f"{os.getuid()}:{os.getgid()}"] == words[
        words.index("--user") : words.index("--user") + 2
    ]
    assert "pw-in-a-file" not in " ".join(words)
    assert json.loads((tmp_path / "note.config").read_text()) == {"password": "pw-in-a-file"}


def test_an_executable_that_anybody_could_change_is_refused(tmp_path: Path) -> None:
    program = tmp_path / "tap"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    made = LocalExecutor("tap-x", "singer", program)
    made.ensure()
    program.chmod(0o757)
    with pytest.raises(ConfigError, match="writable for all"):
        made.ensure()
    program.chmod(0o755)
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="writable for all"):
        made.ensure()
    tmp_path.chmod(0o755)
    with pytest.raises(ConfigError, match="not there"):
        LocalExecutor("tap-x", "singer", tmp_path / "gone").ensure()


MANIFEST = {
    "version": "6.0.0",
    "type": "DeclarativeSource",
    "spec": {"connection_specification": {"type": "object"}},
}


def test_a_manifest_with_code_is_refused_unless_allowed(tmp_path: Path) -> None:
    code = {
        **MANIFEST,
        "streams": [{"retriever": {"type": "CustomRetriever", "class_name": "evil.Retriever"}}],
    }
    made = Choice("source-x", source_manifest=code).executor()
    assert isinstance(made, ManifestExecutor)
    with pytest.raises(ConfigError, match=r"evil\.Retriever"):
        made.config({})
    allowed = Choice("source-x", source_manifest=code, allow_custom_code=True).executor()
    assert allowed.config({"a": 1})["__injected_declarative_manifest"] == code
    with pytest.raises(ConfigError, match="could be code"):
        Choice("source-x", source_manifest=MANIFEST).executor().config(
            {"__injected_components_py": "import os"}
        )
    path = tmp_path / "manifest.yaml"
    path.write_text("version: 6.0.0\nspec: !!python/object/apply:os.system ['true']\n")
    with pytest.raises(ConfigError, match="cannot be read"):
        Choice("source-x", source_manifest=path).executor().config({})
    assert get_source("source-x", source_manifest=MANIFEST).config_spec == {"type": "object"}


def test_making_a_source_does_nothing_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    source = get_source("source-faker", {"count": 1})
    assert (source.name, source.state_name) == ("source-faker", "source_faker")
    assert source.granularity == "source"
    assert list(tmp_path.iterdir()) == []
    described = get_source("source-faker", no_executor=True)
    with pytest.raises(ConfigError, match="no_executor"):
        described.discover()


def test_a_package_may_add_names_and_its_value_is_not_imported(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    points = [EntryPoint("tap-mine", "nowhere_to_be_found:singer", "etl_assets.connectors")]
    monkeypatch.setattr("etl_assets.connectors.names.entry_points", lambda group: points)
    known_connectors.cache_clear()
    try:
        found = known_connectors()["tap-mine"]
        assert (found.protocol, found.package) == ("singer", "nowhere_to_be_found")
        assert "tap-mine" in get_available_connectors("python")
    finally:
        known_connectors.cache_clear()


def test_a_version_is_that_of_the_first_of_several_packages(tmp_path: Path) -> None:
    made = Choice("target-duckdb", version="0.8.0", install_root=tmp_path).executor()
    assert isinstance(made, PythonExecutor)
    assert made.environment.requirement == "target-duckdb==0.8.0 duckdb<1.2"
