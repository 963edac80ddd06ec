"""The documentation is true: its examples run, its tables are what happens, its links lead somewhere."""

import csv
import math
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, time
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from types import ModuleType
from typing import Any
from uuid import UUID

import duckdb
import pytest

import etl_assets
from etl_assets.assets.metadata import SyncMetadata
from etl_assets.cli import _parser
from etl_assets.exceptions import EtlAssetsError
from etl_assets.sources.read import StreamRead
from etl_assets.sources.rest import Since
from etl_assets.sync import sync
from tests.toys import read

ROOT = Path(__file__).resolve().parent.parent
DOCS = ROOT / "docs"
ADOPT = DOCS / "adopt"
PAGES = [ROOT / "README.md", *sorted(DOCS.rglob("*.md"))]
NOT_RUN_AT_MOST = 5
README_LINES = 150
MAY_COME_LATER = {"docs/images/asset.png"}
"""A screenshot, which needs the UI."""

_FENCE = re.compile(r"^```(?P<language>\w*)\n(?P<code>.*?)^```$", re.MULTILINE | re.DOTALL)
_NOT_RUN = re.compile(r"<!-- not run: \S.* -->\n\Z")
_FILE = re.compile(r"# (?P<name>\w+\.py)\b")
_LINK = re.compile(r"\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_INLINE = re.compile(r"`(?P<code>[^`\n]+)`")
_HEADING = re.compile(r"^#+ (?P<title>.+)$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block: what it holds, the number of its first line, and whether it is marked as a fragment."""

    language: str
    code: str
    line: int
    fragment: bool


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def blocks(text: str) -> Iterator[Block]:
    for found in _FENCE.finditer(text):
        before = text[: found.start()]
        first_line = before.count("\n") + 2
        yield Block(found["language"], found["code"], first_line, bool(_NOT_RUN.search(before)))


def prose(text: str) -> str:
    """Return a page without its fenced blocks."""
    return _FENCE.sub("", text)


def python_blocks(page: Path) -> list[Block]:
    return [
        block for block in blocks(page.read_text(encoding="utf-8")) if block.language == "python"
    ]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder as the working directory, with nothing of ours in the environment."""
    for variable in [one for one in os.environ if one.startswith(("ETL_ASSETS_", "SHOP_", "CRM_"))]:
        monkeypatch.delenv(variable)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


# Examples


def run_shell(code: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Run commands in the working directory, take over what they export, and give what they print."""
    done = subprocess.run(
        ["/bin/bash", "-euc", f"{code}\nenv -0 > .exported"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for line in Path(".exported").read_text(encoding="utf-8").split("\0"):
        name, _, value = line.partition("=")
        if os.environ.get(name) != value and name and not name.startswith(("_", "SHLVL")):
            monkeypatch.setenv(name, value)
    return done.stdout


@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if python_blocks(page) and page.parent != ADOPT],
    ids=name_of,
)
def test_a_page_runs_in_an_empty_folder(
    page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del folder
    module = ModuleType(f"page_{page.stem}")
    monkeypatch.setitem(
        sys.modules, module.__name__, module
    )  # where classes look for the module they are of
    is_begun = False
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.fragment:
            continue
        # What a page begins with, and what it sets; other commands further down stand for
        # themselves.
        if block.language == "sh" and (block.code.startswith("export ") or not is_begun):
            if not block.code.startswith("make "):
                run_shell(block.code, monkeypatch)
        elif block.language == "python":
            is_begun = True
            # Empty lines before it: an error then names the line of the page.
            code = compile("\n" * (block.line - 1) + block.code, str(page), "exec")
            exec(code, vars(module))  # noqa: S102 - our own pages


@pytest.mark.parametrize(
    "page",
    [
        pytest.param(page, marks=[] if page.stem in {"dlt", "meltano"} else pytest.mark.full)
        for page in sorted(ADOPT.glob("*.md"))
        if python_blocks(page)
    ],
    ids=name_of,
)
def test_a_guide_ends_in_a_running_project(
    page: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block of a guide is run in order; one whose first line names a file is that file."""
    for block in blocks(page.read_text(encoding="utf-8")):
        named = _FILE.match(block.code)
        if block.language == "python" and named:
            (folder / named["name"]).write_text(block.code, encoding="utf-8")
        elif block.language == "python":
            exec(compile(block.code, str(page), "exec"), {})  # noqa: S102 - our own pages
        elif block.language == "sh":
            run_shell(block.code, monkeypatch)


def test_the_readme_leads_to_rows_that_one_can_see(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = ""
    for block in blocks((ROOT / "README.md").read_text(encoding="utf-8")):
        if block.language == "sh" and not block.fragment and not block.code.startswith("make "):
            shown = run_shell(block.code, monkeypatch)
        elif block.code.startswith("# definitions.py"):
            (folder / "definitions.py").write_text(block.code, encoding="utf-8")
    assert re.search(r"2026-01-03 08:15:00", shown)
    assert shown.count("2026-01-0") == 3


@pytest.mark.full
def test_what_the_readme_calls_the_same_is_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    launch = next(code for code in _INLINE.findall(text) if code.startswith("dg launch "))
    definitions = next(
        block.code for block in blocks(text) if block.code.startswith("# definitions.py")
    )
    (folder / "definitions.py").write_text(definitions, encoding="utf-8")
    run_shell("etl-assets sample shop.db && export SHOP_URL=sqlite:///shop.db", monkeypatch)
    run_shell(launch, monkeypatch)
    with duckdb.connect(folder / "warehouse.duckdb", read_only=True) as warehouse:
        assert warehouse.execute("SELECT count(*) FROM shop.orders").fetchall() == [(3,)]


def test_few_examples_are_fragments() -> None:
    fragments = [block for page in PAGES for block in python_blocks(page) if block.fragment]
    assert len(fragments) <= NOT_RUN_AT_MOST


def test_the_readme_is_short_and_opens_with_the_two_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(text.splitlines()) < README_LINES
    first = next(blocks(text))
    assert [line.split("#")[0].strip() for line in first.code.splitlines()] == [
        "make demo",
        "make test",
    ]


def test_the_architecture_names_each_folder() -> None:
    text = (DOCS / "architecture.md").read_text(encoding="utf-8")
    tree = text.partition("```\n")[2].partition("```")[0]
    named = set(re.findall(r"(\w+)/", tree + "\n".join(re.findall(r"`([\w/.]+)`", text))))
    package = Path(etl_assets.__file__).parent
    folders = {path.parent.name for path in package.rglob("*.py") if path.parent != package}
    below_fixed_paths = {path.name for path in package.glob("connections/*") if path.is_dir()}
    assert folders - named - below_fixed_paths - {"logger"} == set()


def test_each_folder_says_what_lives_there() -> None:
    package = Path(etl_assets.__file__).parent
    starts = [
        path
        for path in package.rglob("__init__.py")
        if not path.read_text(encoding="utf-8").startswith('"""')
    ]
    assert starts == []


# Links


def slug(title: str) -> str:
    """Return a heading's anchor, as GitHub makes it."""
    text = re.sub(r"[`*]|\[([^\]]*)\]\([^)]*\)", r"\1", title).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


def anchors(page: Path) -> set[str]:
    return {
        slug(found["title"]) for found in _HEADING.finditer(prose(page.read_text(encoding="utf-8")))
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_relative_links_lead_somewhere(page: Path) -> None:
    for found in _LINK.finditer(prose(page.read_text(encoding="utf-8"))):
        target = found["target"]
        if target.startswith(("http://", "https://")):
            continue
        path, _, anchor = target.partition("#")
        there = (page.parent / path).resolve() if path else page
        if there.is_relative_to(ROOT) and name_of(there) in MAY_COME_LATER and not there.exists():
            continue
        assert there.exists(), target
        if anchor:
            assert anchor in anchors(there), target


def test_every_page_is_in_the_table_of_contents() -> None:
    text = (DOCS / "index.md").read_text(encoding="utf-8")
    for page in DOCS.rglob("*.md"):
        assert page.name == "index.md" or f"({page.relative_to(DOCS).as_posix()}" in text


# Nothing public is left out


def words(page: str) -> set[str]:
    return set(re.findall(r"\w+", (ROOT / page).read_text(encoding="utf-8")))


def test_every_public_name_is_mentioned() -> None:
    mentioned = set().union(*(words(name_of(page)) for page in PAGES))
    assert set(etl_assets.__all__) - mentioned == set()


def parameters(function: Any) -> set[str]:
    return set(function.__annotations__) - {"return", "options", "args"}


OPTIONS: list[tuple[str, Iterable[str]]] = [
    ("docs/destinations.md", etl_assets.DuckDBDestination.Options.model_fields),
    ("docs/destinations.md", [one.name for one in fields(etl_assets.Capabilities)]),
    ("docs/sql.md", parameters(etl_assets.SqlSource.__init__)),
    ("docs/rest.md", parameters(etl_assets.RestSource.__init__)),
    ("docs/rest.md", [one.name for one in fields(etl_assets.Endpoint) if one.name != "_"]),
    ("docs/rest.md", [one.name for one in fields(Since) if one.name != "_"]),
    ("docs/rest.md", etl_assets.sources.rest.__all__),
    ("docs/connectors.md", parameters(etl_assets.get_source)),
    ("docs/connectors.md", parameters(etl_assets.get_destination)),
    ("docs/connectors.md", [one.name for one in fields(etl_assets.Limits)]),
    ("docs/assets.md", [one.name for one in fields(etl_assets.StreamOptions)]),
    ("docs/assets.md", [one.name for one in fields(etl_assets.StreamProps)]),
    (
        "docs/assets.md",
        [name for name in vars(etl_assets.StreamTranslator) if name.startswith("get_")],
    ),
    ("docs/assets.md", etl_assets.SyncConfig.model_fields),
    ("docs/assets.md", parameters(etl_assets.stream_assets)),
    ("docs/schedules.md", parameters(etl_assets.build_source_sensor)),
    ("docs/schedules.md", parameters(etl_assets.build_sync_schedule)),
    ("docs/state.md", SyncMetadata.model_fields),
]


@pytest.mark.parametrize(("page", "names"), OPTIONS)
def test_every_option_is_mentioned_on_its_page(page: str, names: Iterable[str]) -> None:
    assert set(names) - words(page) == set()


# Commands


def commands() -> Iterator[tuple[str, str]]:
    """Yield every `etl-assets ...` that a page shows, in a block or inline."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shell = [
            line
            for block in blocks(text)
            if block.language == "sh"
            for line in block.code.splitlines()
        ]
        inline = [found["code"] for found in _INLINE.finditer(prose(text))]
        for line in (*shell, *inline):
            if line.removeprefix("$ ").startswith("etl-assets "):
                yield name_of(page), line.removeprefix("$ ").partition(" && ")[0]


@pytest.mark.parametrize(("page", "command"), sorted(set(commands())))
def test_a_command_parses(page: str, command: str) -> None:
    del page
    arguments = shlex.split(command, comments=True)[1:]
    if not set(arguments) & {"--help", "--version"} and is_group(arguments):
        arguments.append("--help")  # `etl-assets state` alone stands for all its verbs
    code: str | int | None = 0
    try:
        _parser().parse_args(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 0


def is_group(arguments: Sequence[str]) -> bool:
    verbs = {"get", "set", "reset", "rewind", "rename", "import"}
    return arguments == ["state"] or (
        len(arguments) == 2 and arguments[0] == "state" and arguments[1] in verbs
    )


def test_every_command_of_make_is_there() -> None:
    targets = set(
        re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    )
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        shown = re.findall(r"`make ([a-z-]+)`|^make ([a-z-]+) *(?:#|$)", text, re.MULTILINE)
        assert {one or other for one, other in shown} <= targets, page


# The tables of values.md


VALUES = {
    "nan": math.nan,
    "inf": math.inf,
    **{one.__name__: one for one in (Decimal, UUID, date, datetime, time, object)},
    "UTC": UTC,
}
DECLARED: dict[str, Any] = {
    "`{}`": {},
    "`number`, multipleOf 0.01": {"type": "number", "multipleOf": 0.01},
    **{f"`{one}`": {"type": one} for one in ("integer", "number", "string")},
    **{f"`{one}`": {"type": "string", "format": one} for one in ("date", "time", "date-time")},
}
REFUSED = "refused"


def rows_of(kind: str) -> Iterator[list[str]]:
    """Yield the cells of the tables under `<!-- kind -->` in values.md, without their heads."""
    lines = (DOCS / "values.md").read_text(encoding="utf-8").splitlines()
    inside, skip = False, 0
    for before, line in pairwise(lines):
        if before == f"<!-- {kind} -->":
            inside, skip = True, 2
        inside = inside and line.startswith("|")
        if inside and skip:
            skip -= 1
        elif inside:
            yield [cell.strip() for cell in line.strip("|").split("|")]


def values_in(cell: str) -> list[Any]:
    """Return the values that a cell shows as Python."""
    code = cell.strip("`")
    return list(eval(f"[{code}]", dict(VALUES))) if code else []  # noqa: S307 - our own page


def loaded(
    loads: Sequence[Sequence[Any]], declared: Any, warehouse: etl_assets.DuckDBDestination
) -> tuple[str, list[Any]]:
    """Append values of a field, one load after the other; give the column's type and what is in it."""
    schema = None if declared is None else {"type": "object", "properties": {"x": declared}}
    stream = etl_assets.Stream("things", schema=schema)
    for values in loads:
        source: StreamRead = read([{"x": value} for value in values], stream, batch=100)
        result = sync(source, warehouse, strategy="append")
    column = warehouse.read_table(warehouse.table_for("shop", stream)).column("x")
    back = [None if one is None else str(one) for one in column.to_pylist()]
    type_ = {one.physical: one.type for one in result.columns}["x"]
    return type_, back if type_ == "JSON" else column.to_pylist()


def alike(found: Sequence[Any], wanted: Sequence[Any]) -> bool:
    return len(found) == len(wanted) and all(
        (one is None) == (other is None) and (one == other or (one != one and other != other))  # noqa: PLR0124 - NaN
        for one, other in zip(found, wanted, strict=True)
    )


def check(
    loads: Sequence[Sequence[Any]], declared: Any, type_: str, wanted: str, folder: Path
) -> None:
    warehouse = etl_assets.DuckDBDestination(str(folder / "values.duckdb"))
    if type_ == REFUSED:
        with pytest.raises(EtlAssetsError, match="'x'"):
            loaded(loads, declared, warehouse)
        return
    found_type, found = loaded(loads, declared, warehouse)
    assert found_type == type_
    assert alike(found, values_in(wanted)), found


@pytest.mark.parametrize(("given", "type_", "wanted"), list(rows_of("values")))
def test_a_value_becomes_what_the_page_says(
    given: str, type_: str, wanted: str, tmp_path: Path
) -> None:
    check([values_in(given)], None, type_, wanted, tmp_path)


@pytest.mark.parametrize(("given", "declared", "type_", "wanted"), list(rows_of("declared")))
def test_a_declared_value_becomes_what_the_page_says(
    given: str, declared: str, type_: str, wanted: str, tmp_path: Path
) -> None:
    check([values_in(given)], DECLARED[declared], type_, wanted, tmp_path)


@pytest.mark.parametrize(("given", "type_", "wanted"), list(rows_of("inferred")))
def test_a_text_of_a_file_becomes_what_the_page_says(
    given: str, type_: str, wanted: str, tmp_path: Path
) -> None:
    with (tmp_path / "things.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["k", "x"], *(["k", text] for text in values_in(given))])
    source = etl_assets.FileSource("shop", str(tmp_path / "things.csv"), types="infer")
    stream = source.discover().streams[0]
    warehouse = etl_assets.DuckDBDestination(str(tmp_path / "values.duckdb"))
    result = sync(StreamRead(source, stream), warehouse)
    assert {one.physical: one.type for one in result.columns}["x"] == type_
    found = warehouse.read_table(warehouse.table_for("shop", stream)).column("x").to_pylist()
    assert alike(found, values_in(wanted)), found
    assert list(map(type, found)) == list(map(type, values_in(wanted)))


@pytest.mark.parametrize(("first", "then", "type_", "wanted"), list(rows_of("changes")))
def test_a_column_changes_as_the_page_says(
    first: str, then: str, type_: str, wanted: str, tmp_path: Path
) -> None:
    check([values_in(first), values_in(then)], None, type_, wanted, tmp_path)


@pytest.mark.parametrize(("given", "naming", "wanted"), list(rows_of("names")))
def test_a_name_becomes_what_the_page_says(given: str, naming: str, wanted: str) -> None:
    warehouse = etl_assets.DuckDBDestination(":memory:", naming=naming.strip("`"))
    names = _INLINE.findall(given)
    ours = [str(warehouse.load_id_column), str(warehouse.loaded_at_column)]
    assert list(warehouse.column_identifiers(names, {}, ours).values()) == _INLINE.findall(wanted)


def test_the_tables_of_values_are_found() -> None:
    for kind in ("values", "declared", "inferred", "changes", "names"):
        assert len(list(rows_of(kind))) > 5, kind
