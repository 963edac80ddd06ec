"""No module of the package imports itself by way of others, however late, and none is imported by the text of its name.

An import inside a function closes a circle as one at the top does, and so does a module that is
named in a string. The one place where names of modules may stand as texts is
`etl_assets/registry.py`, below the package's own name.
"""

import ast
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "etl_assets"

Graph = Mapping[str, set[str]]


def modules(package: Path = PACKAGE) -> dict[str, Path]:
    """Return the modules of a package by their dotted names."""
    found = {}
    for path in package.rglob("*.py"):
        parts = path.relative_to(package.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imported(text: str, known: Mapping[str, object]) -> Iterator[str]:
    """Yield what a module imports, at its top, in a function, for type checkers only, or by the text of a name."""
    tree = ast.parse(text)
    loggers = {id(one) for node in ast.walk(tree) if _makes_logger(node) for one in ast.walk(node)}
    for node in ast.walk(tree):
        if id(node) in loggers:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from (inner & known.keys()) or {node.module}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.partition(":")[0]


def _makes_logger(node: ast.AST) -> bool:
    """Return whether a call gives a logger its name, which names no module to import."""
    return isinstance(node, ast.Call) and ast.unparse(node.func).lower().endswith("logger")


def graph(package: Path = PACKAGE) -> Graph:
    """Return which modules of a package each of them imports."""
    known = modules(package)
    return {
        name: {one for one in imported(path.read_text(encoding="utf-8"), known) if one in known}
        - {name, package.name}
        for name, path in known.items()
    }


def circles(edges: Graph) -> list[set[str]]:
    """Return the sets of modules that all reach each other."""
    reached = {name: _reached(name, edges) for name in edges}
    found: list[set[str]] = []
    for name in edges:
        circle = {other for other in reached[name] if name in reached[other]}
        if len(circle) > 1 and circle not in found:
            found.append(circle)
    return found


def _reached(name: str, edges: Graph) -> set[str]:
    seen: set[str] = set()
    waiting = list(edges[name])
    while waiting:
        one = waiting.pop()
        if one not in seen:
            seen.add(one)
            waiting.extend(edges[one])
    return seen


def test_there_is_no_circle() -> None:
    assert circles(graph()) == []


def test_nothing_is_imported_by_the_text_of_its_name() -> None:
    by_text = [
        f"{name}: {ast.unparse(node)}"
        for name, path in modules().items()
        if name != "etl_assets.registry"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).endswith(("import_module", "__import__"))
        and any(
            isinstance(one, ast.Constant) and str(one.value).startswith("etl_assets")
            for one in node.args
        )
    ]
    assert by_text == []


@pytest.mark.parametrize(
    "closing",
    [
        "import house.a",
        "def f():\n    from house.a import x\n",
        "import_module('house.a')",
        "from house import a",
    ],
    ids=["top", "lazy", "text", "module"],
)
def test_a_circle_is_seen_however_it_is_closed(closing: str, tmp_path: Path) -> None:
    house = tmp_path / "house"
    house.mkdir()
    (house / "__init__.py").touch()
    (house / "a.py").write_text("from house.b import x\n")
    (house / "b.py").write_text(closing)
    assert circles(graph(house)) == [{"house.a", "house.b"}]
