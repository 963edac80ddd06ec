"""Each hint in the code stands in a table that names the test which follows it, or shows what it names at work.

Where nothing of a hint could be followed by a program, the table says why.
"""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

from tests.hints.found import PACKAGE, ROOT, hints

HERE = Path(__file__).parent
REASONS = {
    "form": "says what an argument looks like; the error is that it does not",
    "choice": "asks somebody to look, or to choose among what is there; it names nothing that could be wrong",
    "source": "asks for a change at the source or of its data, outside of this library",
    "by itself": "says what happens next without anything being done",
    "rights": "asks for rights, a server or an installation that the tests do not have",
    "code": "asks for other code in a connector or a destination that somebody has written",
}


def entries() -> dict[str, str]:
    """Return what the tables say of each hint: a test, or a reason."""
    found: dict[str, str] = {}
    for path in sorted(HERE.glob("*.toml")):
        for key, told in tomllib.loads(path.read_text(encoding="utf-8")).items():
            for hint in told:
                assert hint not in found, f"{path.name}: {hint!r} stands there twice"
                found[hint] = key
    return found


def test_each_hint_has_an_entry_and_each_entry_a_hint() -> None:
    known, told = hints(), entries()
    new = [f"{hint!r} ({', '.join(known[hint])})" for hint in known if hint not in told]
    assert new == [], "write a test that follows these, and name it in a table of tests/hints"
    assert [hint for hint in told if hint not in known] == [], "these hints are no longer there"


def test_each_entry_names_a_test_that_is_there_or_a_reason() -> None:
    for hint, key in entries().items():
        if key in REASONS:
            continue
        path, _, name = key.partition("::")
        assert (ROOT / path).is_file(), f"{hint!r}: there is no {path}"
        assert name in set(_tests(ROOT / path)), f"{hint!r}: {path} has no {name}"


def _tests(path: Path) -> Iterator[str]:
    """Yield the node ids of a module's tests, without the module."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            yield node.name
        elif isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)
            )


def test_a_hint_is_given_by_its_name() -> None:
    """Else it could not be found here."""
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef):
                arguments = [one.arg for one in (*node.args.posonlyargs, *node.args.args)]
                assert "hint" not in arguments, f"{path.name}: {node.name}(..., *, hint=...)"
