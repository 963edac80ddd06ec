"""The works that are measured, one module each, whose `WORK` says it all; they run in the order of their names."""

import importlib
import pkgutil

from benchmarks.work import Work


def names() -> list[str]:
    """Return the names of all works."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def work(name: str) -> Work:
    """Return a work by its name."""
    found: Work = importlib.import_module(f"{__name__}.{name}").WORK
    return found
