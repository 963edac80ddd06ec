"""What connectors written for Mage import of its framework: a scan of their code, and the list it once gave."""

import ast
import warnings
from collections.abc import Collection, Iterator
from pathlib import Path

TOP = "mage_integrations"
LIST = Path(__file__).parent / "framework_names.txt"
KINDS = ("sources", "destinations")
SHARED = ("connections", "transformers", "utils")
"""Mage's folders that are all framework."""

Name = tuple[str, str]
"""A module without `mage_integrations.`, and what is imported from it ("" for the module itself)."""


def listed() -> dict[str, set[Name]]:
    """Return the names of the list by connector: lines of `kind/connector module name`."""
    found: dict[str, set[Name]] = {}
    for line in LIST.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            connector, module, *names = line.split()
            found.setdefault(connector, set()).update((module, name) for name in names or [""])
    return found


def scanned(root: Path) -> dict[str, set[Name]]:
    """Return the framework's names that each connector below a package `mage_integrations` imports.

    Args:
        root: The package's folder, with `sources` and `destinations` in it.
    """
    connectors = {
        f"{kind}/{folder.name}": folder
        for kind in KINDS
        for folder in sorted((root / kind).iterdir())
        if folder.is_dir() and folder.name not in {"sql", "__pycache__"}
    }
    found = {
        name: {one for path in folder.rglob("*.py") for one in imported(path, root)}
        for name, folder in connectors.items()
    }
    return {
        name: {
            one
            for one in names
            if is_framework(one[0], found) and (one[1] or not _named(one[0], names))
        }
        for name, names in found.items()
    }


def _named(module: str, names: set[Name]) -> bool:
    return any(other == module and name for other, name in names)


def imported(path: Path, root: Path) -> Iterator[Name]:
    """Yield what a file imports from Mage's package."""
    package = path.relative_to(root).parts[:-1]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # their strings have escapes that Python frowns upon
        tree = ast.parse(path.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
            yield from (
                (name.removeprefix(f"{TOP}."), "") for name in names if name.startswith(f"{TOP}.")
            )
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join(
                [*([TOP, *above] if node.level else []), *([node.module] if node.module else [])]
            )
            if module.startswith(f"{TOP}."):
                yield from ((module.removeprefix(f"{TOP}."), alias.name) for alias in node.names)


def is_framework(module: str, connectors: Collection[str]) -> bool:
    """Tell whether a module is the framework's, and not a connector's own or another connector's."""
    kind, *rest = module.split(".")
    if kind in SHARED:
        return True
    return kind in KINDS and bool(rest) and f"{kind}/{rest[0]}" not in connectors
