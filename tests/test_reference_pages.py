"""The pages on environment variables, logging and versions tell what the source has: all of it, and nothing else."""

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import etl_assets

PACKAGE = Path(etl_assets.__file__).parent
ROOT = PACKAGE.parent
DOCS = ROOT / "docs"

_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]{2,}|[A-Z]{2}|[a-z]+_proxy")
NO_VARIABLES = {"ALL", "SPEC", "UTC", "SIGINT", "SIGKILL", "SIGTERM", "ETL_ASSETS_"}
"""Texts that look like names of variables, in modules that ask for some."""

OF_THE_HARNESS = {"OPENBLAS_NUM_THREADS", "DAGSTER_HOME", "PYTHONPATH"}
"""What the fault harness sets for the processes it starts."""

ASKED_BY_NAME = {
    ("assets/component/templates.py", "self.env_var_name"),  # {{ env.NAME }}
    ("assets/component/templates.py", "name"),  # the same, inserted
    ("secrets/managers.py", "secret_name"),  # get_secret
    ("constants.py", "variable"),  # of `_says_yes`, which the module calls with its one
    ("connectors/process.py", "name"),  # of PASSED_ON
    ("connectors/executors.py", "name"),  # Docker's
    ("assets/instance_storage.py", "variable"),  # of dagster.yaml
}
"""Where the name of a variable is not written: the user gives it, or the module has a list of them."""


@cache
def modules() -> list[tuple[Path, ast.Module]]:
    paths = sorted(PACKAGE.rglob("*.py"))
    return [(path, ast.parse(path.read_text(encoding="utf-8"))) for path in paths]


def asks_the_environment(node: ast.AST) -> bool:
    name = getattr(node, "attr", None) or getattr(node, "id", None)  # `os.environ`, or `environ`
    return name in {"environ", "getenv", "environb"}


def named(tree: ast.Module) -> Iterator[ast.expr]:
    """Yield what stands for the name of a variable: `os.environ[x]`, `os.environ.get(x)`, `x in os.environ`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and asks_the_environment(node.value):
            yield node.slice
        elif isinstance(node, ast.Compare) and any(map(asks_the_environment, node.comparators)):
            yield node.left
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            asked = node.func.value if node.func.attr == "get" else node.func
            if asks_the_environment(asked):
                yield node.args[0]


def module_of(path: Path) -> ModuleType:
    return import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))


@cache
def variables() -> frozenset[str]:
    """Return the names of all variables that the source names where it asks for some."""
    found: set[str] = set()
    for path, tree in modules():
        if not any(asks_the_environment(node) for node in ast.walk(tree)):
            continue
        texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
        names = {one for one in texts if isinstance(one, str) and _VARIABLE.fullmatch(one)}
        found |= names - (OF_THE_HARNESS if "testing" in path.parts else set())
    return frozenset(found - NO_VARIABLES)


def in_code(page: str) -> set[str]:
    """Return every word that stands between backticks."""
    text = re.sub(r"```.*?```", "", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
    return set(re.findall(r"\w+", " ".join(re.findall(r"`([^`\n]+)`", text))))


class TestEnvironment:
    def test_every_variable_is_on_the_page(self) -> None:
        found = variables()
        assert {"ETL_ASSETS_HOME", "PGHOST", "UV", "no_proxy"} < found
        assert found - in_code("environment.md") == set()

    def test_no_name_comes_from_elsewhere(self) -> None:
        """Each is a text, a constant of the module, or one of the few that are known."""
        for path, tree in modules():
            for name in named(tree):
                place = (path.relative_to(PACKAGE).as_posix(), ast.unparse(name))
                if isinstance(name, ast.Constant) or place in ASKED_BY_NAME:
                    continue
                assert isinstance(name, ast.Name), place
                assert getattr(module_of(path), name.id) in variables(), place

    def test_each_of_ours_on_the_page_is_asked_for(self) -> None:
        told = {one for one in in_code("environment.md") if one.startswith("ETL_ASSETS_")}
        assert told == {one for one in variables() if one.startswith("ETL_ASSETS_")}


def logger_names() -> set[str]:
    """Return the names of loggers; what a class or connector adds to one is `<...>`."""
    found = {"etl_assets"}
    for path, tree in modules():
        if "testing" in path.parts:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.JoinedStr):
                found |= {name for name in [prefix(node)] if name}
            elif is_call_of_a_logger(node):
                found.add(given(node, path))
    return {one for one in found if one}


def is_call_of_a_logger(node: ast.AST) -> bool:
    words = {"getLogger", "masked_logger"}
    return isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in words


def given(call: ast.AST, path: Path) -> str:
    assert isinstance(call, ast.Call)
    name = call.args[0]
    if isinstance(name, ast.Constant):
        return str(name.value)
    if isinstance(name, ast.Name) and name.id == "__name__":
        return str(module_of(path).__name__)
    if isinstance(name, ast.Name):
        there = getattr(module_of(path), name.id, "")
        return there if isinstance(there, str) else ""
    return ""


def prefix(text: ast.JoinedStr) -> str:
    """Return a text such as `etl_assets.sources.{...}`, up to what is put in."""
    first = text.values[0]
    begins = str(first.value) if isinstance(first, ast.Constant) else ""
    if re.fullmatch(r"etl_assets(\.[a-z]+)*\.", begins):
        return f"{begins}<>"
    if ast.unparse(first) == "{NAME}":  # of `logs`
        rest = text.values[1]
        assert isinstance(rest, ast.Constant)
        return "etl_assets" + str(rest.value) + ("<>" if len(text.values) > 2 else "")
    return ""


class TestLogging:
    def test_every_logger_is_on_the_page_and_no_other(self) -> None:
        text = (DOCS / "logging.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| `(etl_assets[^`]*)` \|", text, re.MULTILINE)
        assert sorted({re.sub("<.*>", "<>", one) for one in rows}) == sorted(logger_names())

    def test_the_library_sets_no_levels_and_adds_no_handlers(self) -> None:
        """But for a program, which has standard error to itself."""
        found = {
            (path.relative_to(PACKAGE).as_posix(), node.attr)
            for path, tree in modules()
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute)
            and node.attr in {"basicConfig", "addHandler", "setLevel", "dictConfig"}
        }
        assert found == {("destinations/target/program.py", "basicConfig")}


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


class TestVersions:
    def test_the_table_has_each_dependency_with_its_lowest_version(self) -> None:
        extras = PROJECT["optional-dependencies"]
        declared = [(one, "") for one in PROJECT["dependencies"]]
        declared += [(one, extra) for extra, several in extras.items() for one in several]
        wanted = {("Python", PROJECT["requires-python"].removeprefix(">="), "")}
        for requirement, extra in declared:
            found = re.fullmatch(r"([\w-]+)(?:\[\w+\])?>=([\d.]+)(?:,<2)?", requirement)
            assert found, requirement
            assert requirement.endswith(",<2") == found[1].startswith("dagster"), "as the page says"
            wanted.add((found[1], found[2], extra))
        text = (DOCS / "versions.md").read_text(encoding="utf-8")
        rows = re.findall(r"^\| ([\w-]+) \| ([\d.]+) \| (\w*) ?\|$", text, re.MULTILINE)
        assert set(rows) == wanted
        assert len(rows) == len(wanted)

    @pytest.mark.parametrize("target", ["test", "test-lowest", "test-newest"])
    def test_continuous_integration_runs_what_the_page_says(self, target: str) -> None:
        text = (DOCS / "versions.md").read_text(encoding="utf-8")
        found = re.search(rf"^\| `make {target}` \| ([\d.]+) \|", text, re.MULTILINE)
        assert found
        make = (ROOT / "Makefile").read_text(encoding="utf-8")
        variable = "PYTHON_NEWEST" if target == "test-newest" else "PYTHON"
        assert re.search(rf"^{variable} \?= .*python{re.escape(found[1])}\b", make, re.MULTILINE)
        assert f"\nmake {target}\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
