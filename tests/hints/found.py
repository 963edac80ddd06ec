"""Every hint in the code, as its literal pieces: what comes from a variable is `{}`."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "etl_assets"
LEAST = 4
"""So many characters make a hint; less joins others."""


def hints() -> dict[str, list[str]]:
    """Return the places of each hint, as `path:line`."""
    found: dict[str, list[str]] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        name = str(path.relative_to(PACKAGE))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for value in _told(node):
                for text in _texts(value):
                    if len(text.strip("{} .")) >= LEAST:
                        found.setdefault(text, []).append(f"{name}:{value.lineno}")
    return found


def _told(node: ast.AST) -> Iterator[ast.expr]:
    """Yield what a `hint=` is given, what a name with `hint` in it is set to, and what such a function returns."""
    if isinstance(node, ast.keyword) and node.arg == "hint":
        yield node.value
    elif isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            yield from _assigned(target, node.value)
    elif isinstance(node, ast.FunctionDef) and "hint" in node.name.lower():
        yield from (
            one.value
            for one in ast.walk(node)
            if isinstance(one, ast.Return) and one.value is not None
        )


def _assigned(target: ast.expr, value: ast.expr) -> Iterator[ast.expr]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple):
        for one, its in zip(target.elts, value.elts, strict=False):
            yield from _assigned(one, its)
    elif any("hint" in name for name in _names(target)):
        yield value


def _names(target: ast.expr) -> Iterator[str]:
    for node in ast.walk(target):
        if isinstance(node, ast.Name):
            yield node.id.lower()
        elif isinstance(node, ast.Attribute):
            yield node.attr.lower()


def _texts(node: ast.AST) -> Iterator[str]:
    """Yield the texts that an expression may become or join: not its conditions, nor the keys it looks up."""
    if isinstance(node, ast.Constant):
        yield from [node.value] if isinstance(node.value, str) else []
    elif isinstance(node, ast.JoinedStr):
        yield "".join(
            str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values
        )
    else:
        for part in _parts(node):
            yield from _texts(part)


def _parts(node: ast.AST) -> list[ast.expr]:
    match node:
        case ast.Call():
            # What a call is given is no text of its own, but for `", ".join(...)`.
            joins = isinstance(node.func, ast.Attribute) and isinstance(
                node.func.value, ast.Constant
            )
            return (
                [node.func.value, *node.args]
                if joins and isinstance(node.func, ast.Attribute)
                else []
            )
        case ast.Subscript():
            return [node.value]
        case ast.IfExp():
            return [node.body, node.orelse]
        case ast.Dict():
            return node.values
        case ast.Compare():
            return []
    return [part for part in ast.iter_child_nodes(node) if isinstance(part, ast.expr)]
