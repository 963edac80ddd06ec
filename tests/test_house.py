"""The rules of the house: sizes, names, and what must not stand in the code."""

import ast
import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "etl_assets"

FILE_LINES = 600
FUNCTION_LINES = 50
CLASS_LINES = 350
PUBLIC_METHODS = 25

# Each exception: what it is for -> why. A key is `path`, or `path:qualified name` for a function or
# class.
SIZE_EXCEPTIONS: dict[str, str] = {
    "etl_assets/destinations/database/destination.py:DatabaseDestination": "all hooks of one that keeps state",
}
MAGES_PATH = "connectors written for Mage import from there; it hands on names of `etl_assets.mage`"
NAME_EXCEPTIONS: dict[str, str] = {
    "etl_assets/caches/util.py": "scripts written for PyAirbyte import `get_default_cache` and the like from there",
    "etl_assets/destinations/util.py": "scripts written for PyAirbyte import `get_destination` and the like from there",
    "etl_assets/secrets/util.py": "scripts written for PyAirbyte import `get_secret` and the like from there",
    "etl_assets/sources/util.py": "scripts written for PyAirbyte import `get_source` from there",
    "etl_assets/sources/utils.py": "sources written for Mage import `get_standard_metadata` from there",
    "etl_assets/connections/google_analytics/utils.py": MAGES_PATH,
    "etl_assets/connections/utils/__init__.py": MAGES_PATH,
    "etl_assets/connections/utils/google.py": MAGES_PATH,
    "etl_assets/connections/utils/sql.py": MAGES_PATH,
    "etl_assets/connections/amplitude/utils.py": MAGES_PATH,
    "etl_assets/destinations/sql/utils.py": MAGES_PATH,
    "etl_assets/destinations/utils.py": MAGES_PATH,
    "etl_assets/sources/sql/utils.py": MAGES_PATH,
    "etl_assets/transformers/utils.py": MAGES_PATH,
    "etl_assets/utils/__init__.py": MAGES_PATH,
    "etl_assets/utils/array.py": MAGES_PATH,
    "etl_assets/utils/dates.py": MAGES_PATH,
    "etl_assets/utils/dictionary.py": MAGES_PATH,
    "etl_assets/utils/files.py": MAGES_PATH,
    "etl_assets/utils/logger/__init__.py": MAGES_PATH,
    "etl_assets/utils/logger/constants.py": MAGES_PATH,
    "etl_assets/utils/parsers.py": MAGES_PATH,
    "etl_assets/utils/schema_helpers.py": MAGES_PATH,
    "etl_assets/utils/strings.py": MAGES_PATH,
}
BROAD_EXCEPT_EXCEPTIONS: dict[str, str] = {
    "etl_assets/redaction/errors.py:masked_errors": "whatever a script raises is masked, and raised again",
    "etl_assets/assets/check_cli.py:Findings.asking": "the edge of a source or destination, which may raise anything",
    "etl_assets/assets/stream_checks.py:_matches_source": "the edge of a source: its check has failed, and no load",
    "etl_assets/destinations/database/checking.py:Loaded.ask": "the edge of a driver: a query of a user's may fail",
    "etl_assets/assets/metadata.py:decoration": "what decorates an event never fails the sync it tells of",
    "etl_assets/cli.py:main": "the top of the command line: whatever a project raises becomes one redacted line",
    "etl_assets/destinations/target/program.py:run_destination": "the top of a program: whatever a hook raises is masked",
    "etl_assets/sources/tap/program.py:run_source": "the top of a program: whatever a hook raises is masked",
    "etl_assets/destinations/duckdb/destination.py:DuckDBDestination.transaction": "around the rollback",
    "etl_assets/destinations/target/read.py:PipeRead.activate": "the edge of a hook, which may raise anything",
    "etl_assets/sources/tap/process.py:sync_catalog": "the edge of a connector's hooks: the other streams go on",
    "etl_assets/engine/publishing.py:Publishing.attempt": "the edge of a destination: one stream fails, not the others",
    "etl_assets/sources/tap/airbyte.py:run_airbyte": "the edge of a connector, told in Airbyte's words",
    "etl_assets/sources/tap/airbyte.py:_status": "the edge of a connector: a check that raises has failed",
    "etl_assets/mage/connections.py:SqlConnection.get_data_from_query_strings": "to log which statement failed; raised",
    "etl_assets/sources/tap/read.py:_run": "the edge of a connector, which may raise anything: told of its stream",
    "etl_assets/sources/rest/concurrency.py:_Running._run": "a thread's error is raised again by who takes its items",
    "etl_assets/sources/tap/read.py:_TapThread._body": "a thread's error is raised again by who waits for it",
    "etl_assets/sources/source_read.py:SourceRead.open": "the edge of a connector, which may raise anything: wrapped",
    "etl_assets/sources/read.py:StreamRead._open": "the edge of a connector, which may raise anything: wrapped by name",
}

VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "core", "misc"}
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal"}
FORBIDDEN_CALLS = {
    "eval",
    "exec",
    "literal_eval",
    "ast.literal_eval",
    "yaml.load",
    "yaml.unsafe_load",
}
DAGSTER_PRIVATE = f"{PACKAGE}/assets/dagster_private.py"

# In pieces, so that this file does not hold what it looks for.
MACHINE_PATH = re.compile(
    "|".join(("/wo" + "rk/", "/ro" + "ot/", "/fa" + "rm/", r"/ho" + r"me/[a-z]+/", "/Us" + "ers/"))
)

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
Rule = Callable[[str, str], Iterator[str]]
"""Takes a file's path (from the root, with `/`) and text; yields `key: what is wrong`."""


def too_long_file(path: str, text: str) -> Iterator[str]:
    lines = len(text.splitlines())
    if lines > FILE_LINES:
        yield f"{path}: {lines} lines, at most {FILE_LINES}"


def too_long_function(path: str, text: str) -> Iterator[str]:
    for name, node in _definitions(text):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and _lines(node) > FUNCTION_LINES
        ):
            yield f"{path}:{name}: {_lines(node)} lines, at most {FUNCTION_LINES}"


def too_large_class(path: str, text: str) -> Iterator[str]:
    for name, node in _definitions(text):
        if not isinstance(node, ast.ClassDef):
            continue
        length = (node.end_lineno or node.lineno) - node.lineno + 1
        if length > CLASS_LINES:
            yield f"{path}:{name}: {length} lines, at most {CLASS_LINES}"
        public = {
            item.name
            for item in node.body
            if isinstance(item, ast.FunctionDef | ast.AsyncFunctionDef)
            and not item.name.startswith("_")
        }
        if len(public) > PUBLIC_METHODS:
            yield f"{path}:{name}: {len(public)} public methods, at most {PUBLIC_METHODS}"


def vague_name(path: str, text: str) -> Iterator[str]:
    del text
    for part in Path(path).with_suffix("").parts:
        if part in VAGUE_NAMES:
            yield f"{path}: the name {part!r} says nothing"


def future_annotations(path: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if (
            isinstance(node, ast.ImportFrom)
            and node.module == "__future__"
            and _imports(node, "annotations")
        ):
            yield f"{path}: line {node.lineno}: it breaks Dagster's annotated `context`"


def broad_except(path: str, text: str) -> Iterator[str]:
    for name, node in _handlers(ast.parse(text), ""):
        broad = node.type is None or any(
            isinstance(part, ast.Name) and part.id in {"Exception", "BaseException"}
            for part in ast.walk(node.type)
        )
        if broad:
            yield f"{path}:{name}: line {node.lineno}: a broad except"


def code_from_data(path: str, text: str) -> Iterator[str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in FORBIDDEN_CALLS:
            yield f"{path}: line {node.lineno}: {ast.unparse(node.func)} makes code or objects of data"
    for line, name in _imported(text):
        if name.split(".")[0] in FORBIDDEN_MODULES or name in FORBIDDEN_CALLS:
            yield f"{path}: line {line}: {name} makes code or objects of data"


def private_dagster(path: str, text: str) -> Iterator[str]:
    if path == DAGSTER_PRIVATE:
        return
    for line, name in _imported(text):
        top, *rest = name.split(".")
        if top.startswith("dagster") and any(part.startswith("_") for part in rest):
            yield f"{path}: line {line}: {name} is private; it belongs in {DAGSTER_PRIVATE}"


def unnamed_hook(path: str, text: str) -> Iterator[str]:
    """A hook that is to be written says which method of which class it is."""
    for name, node in _definitions(text):
        if not isinstance(node, ast.FunctionDef):
            continue
        raised = node.body[-1]
        is_method = any(argument.arg == "self" for argument in node.args.args)
        if not is_method or not isinstance(raised, ast.Raise) or raised.exc is None:
            continue
        said = ast.unparse(raised.exc)
        if not said.startswith("NotImplementedError"):
            continue
        if "type(self).__name__" not in said or node.name not in said:
            yield f"{path}:{name}: line {raised.lineno}: it does not name its class and itself"


def machine_path(path: str, text: str) -> Iterator[str]:
    for number, line in enumerate(text.splitlines(), 1):
        found = MACHINE_PATH.search(line)
        if found:
            yield f"{path}: line {number}: {found.group()!r} is a path of one machine"


def _imported(text: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the dotted name of everything that is imported from elsewhere."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


def _definitions(text: str) -> Iterator[tuple[str, Definition]]:
    def walk(node: ast.AST, prefix: str) -> Iterator[tuple[str, Definition]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, Definition):
                yield prefix + child.name, child
                yield from walk(child, f"{prefix}{child.name}.")
            else:
                yield from walk(child, prefix)

    return walk(ast.parse(text), "")


def _handlers(node: ast.AST, prefix: str) -> Iterator[tuple[str, ast.ExceptHandler]]:
    for child in ast.iter_child_nodes(node):
        inner = prefix
        if isinstance(child, Definition):
            inner = f"{prefix}.{child.name}" if prefix else child.name
        if isinstance(child, ast.ExceptHandler):
            yield prefix, child
        yield from _handlers(child, inner)


def _lines(node: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    """Count a function's lines without its docstring: a longer explanation is no longer function."""
    total = (node.end_lineno or node.lineno) - node.lineno + 1
    first = node.body[0]
    if (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Constant)
        and isinstance(first.value.value, str)
    ):
        total -= (first.end_lineno or first.lineno) - first.lineno + 1
    return total


def _imports(node: ast.ImportFrom, name: str) -> bool:
    return any(alias.name == name for alias in node.names)


def _files() -> list[str]:
    """Return what is committed, or would be by `git add`, from the root."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    try:
        listed = subprocess.run(
            command, cwd=ROOT, check=True, capture_output=True, text=True
        ).stdout.splitlines()
    except (OSError, subprocess.CalledProcessError):  # an unpacked archive
        listed = [str(path.relative_to(ROOT)) for path in ROOT.rglob("*") if path.is_file()]
        listed = [path for path in listed if not path.startswith(".")]
    return sorted(path for path in listed if (ROOT / path).is_file())


def _text(path: str) -> str | None:
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def _violations(rule: Rule, paths: list[str], exceptions: Mapping[str, str]) -> list[str]:
    found = []
    for path in paths:
        text = _text(path)
        for violation in rule(path, text) if text is not None else ():
            key = violation.split(": ", 1)[0]
            if key not in exceptions:
                found.append(violation)
    return found


RULES: dict[Rule, Mapping[str, str]] = {
    too_long_file: SIZE_EXCEPTIONS,
    too_long_function: SIZE_EXCEPTIONS,
    too_large_class: SIZE_EXCEPTIONS,
    vague_name: NAME_EXCEPTIONS,
    future_annotations: {},
    broad_except: BROAD_EXCEPT_EXCEPTIONS,
    code_from_data: {},
    private_dagster: {},
    unnamed_hook: {},
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_package_keeps_the_rule(rule: Rule) -> None:
    paths = [path for path in _files() if path.startswith(f"{PACKAGE}/") and path.endswith(".py")]
    assert paths
    assert _violations(rule, paths, RULES[rule]) == []


def test_no_committed_file_names_a_path_of_one_machine() -> None:
    assert _violations(machine_path, _files(), {}) == []


@pytest.mark.parametrize("exceptions", [SIZE_EXCEPTIONS, NAME_EXCEPTIONS, BROAD_EXCEPT_EXCEPTIONS])
def test_every_exception_is_needed_and_has_a_reason(exceptions: Mapping[str, str]) -> None:
    rules = [rule for rule, own in RULES.items() if own is exceptions]
    for key, reason in exceptions.items():
        path = key.split(":", 1)[0]
        assert reason
        assert (ROOT / path).is_file(), f"{key} is gone"
        found = [violation for rule in rules for violation in rule(path, _text(path) or "")]
        assert any(violation.startswith(f"{key}: ") for violation in found), (
            f"{key} needs no exception any more"
        )


def _function(lines: int) -> str:
    return "def f():\n" + "    x = 1\n" * (lines - 1)


METHODS = "class C:\n" + "".join(f"    def m{n}(self): pass\n" for n in range(PUBLIC_METHODS))

PLANTED: list[tuple[Rule, str, str]] = [
    (too_long_file, "a.py", "x = 1\n" * (FILE_LINES + 1)),
    (too_long_function, "a.py", _function(FUNCTION_LINES + 1)),
    (
        too_long_function,
        "a.py",
        "class C:\n    async " + _function(FUNCTION_LINES + 1).replace("\n", "\n    "),
    ),
    (too_large_class, "a.py", "class C:\n" + "    x = 1\n" * CLASS_LINES),
    (too_large_class, "a.py", METHODS + "    async def one_more(self): pass\n"),
    (vague_name, "etl_assets/utils.py", ""),
    (vague_name, "etl_assets/core/sql.py", ""),
    (future_annotations, "a.py", "from __future__ import annotations\n"),
    (broad_except, "a.py", "try: pass\nexcept Exception: pass\n"),
    (broad_except, "a.py", "try: pass\nexcept: pass\n"),
    (
        broad_except,
        "a.py",
        "def f():\n    try: pass\n    except (OSError, BaseException) as error: pass\n",
    ),
    (code_from_data, "a.py", "import pickle\n"),
    (code_from_data, "a.py", "def f():\n    from pickle import loads\n"),
    (code_from_data, "a.py", "eval('1')\n"),
    (code_from_data, "a.py", "exec('1')\n"),
    (code_from_data, "a.py", "import ast\nast.literal_eval('1')\n"),
    (code_from_data, "a.py", "from ast import literal_eval\n"),
    (code_from_data, "a.py", "import yaml\nyaml.load('1')\n"),
    (code_from_data, "a.py", "from yaml import load\n"),
    (private_dagster, "etl_assets/assets/factory.py", "from dagster._core import x\n"),
    (private_dagster, "etl_assets/assets/factory.py", "import dagster._core.storage\n"),
    (private_dagster, "etl_assets/assets/factory.py", "from dagster import _check\n"),
    (unnamed_hook, "a.py", "class C:\n    def f(self): raise NotImplementedError\n"),
    (unnamed_hook, "a.py", "class C:\n    def f(self): raise NotImplementedError('f')\n"),
    (machine_path, "README.md", "see /ho" + "me/ada/project\n"),
    (machine_path, "README.md", "see /wo" + "rk/main\n"),
]

CLEAN: list[tuple[Rule, str, str]] = [
    (too_long_file, "a.py", "x = 1\n" * FILE_LINES),
    (too_long_function, "a.py", _function(FUNCTION_LINES)),
    (
        too_long_function,
        "a.py",
        'def f():\n    """Say.\n' + "\n" * FUNCTION_LINES + '    """\n    x = 1\n',
    ),
    (too_large_class, "a.py", METHODS + "    def _private(self): pass\n"),
    (vague_name, "etl_assets/naming.py", "utils = 1\n"),
    (broad_except, "a.py", "try: pass\nexcept (OSError, ValueError): pass\n"),
    (code_from_data, "a.py", "import yaml\nyaml.safe_load('1')\nmodel.eval_mode()\n"),
    (private_dagster, DAGSTER_PRIVATE, "from dagster._core import x\n"),
    (private_dagster, "a.py", "import dagster as _dagster\nfrom dagster import asset\n"),
    (
        unnamed_hook,
        "a.py",
        "class C:\n    def f(self): raise NotImplementedError(f'{type(self).__name__} must override f.')\n",
    ),
    (machine_path, "README.md", "https://example.com/working/homes\n"),
]


@pytest.mark.parametrize(("rule", "path", "text"), PLANTED)
def test_a_planted_violation_is_caught(rule: Rule, path: str, text: str) -> None:
    assert list(rule(path, text))


@pytest.mark.parametrize(("rule", "path", "text"), CLEAN)
def test_what_is_allowed_is_left_alone(rule: Rule, path: str, text: str) -> None:
    assert list(rule(path, text)) == []


def test_every_rule_is_shown_to_catch_something() -> None:
    assert {rule for rule, _, _ in PLANTED} == {*RULES, machine_path}


def test_an_exception_excuses_its_own_key_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.py").write_text(
        "def f():\n    try: pass\n    except: pass\ndef g():\n    try: pass\n    except: pass\n"
    )
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    assert [
        found.split(": ")[0] for found in _violations(broad_except, ["a.py"], {"a.py:f": "why"})
    ] == ["a.py:g"]
