"""The import line of a script: `import etl_assets as ab` beside `import airbyte as ab`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.work import Work


def by_hand(folder: Path, given: Any) -> Callable[[], Any]:
    return lambda: None


def ours(folder: Path, given: Any) -> Callable[[], Any]:
    def run() -> None:
        import etl_assets as ab

        print(ab.get_source)  # names are imported when they are asked for

    return run


def pyairbyte(folder: Path, given: Any) -> Callable[[], Any]:
    def run() -> None:
        import airbyte as ab

        print(ab.get_source)

    return run


WORK = Work(
    title="the import of a script, beyond Python's own",
    rows=(0, 0),
    prepare=lambda folder, rows: None,
    candidates={"by hand": by_hand, "ours": ours, "pyairbyte": pyairbyte},
    loaded=None,
    whole=True,
    shown="beyond",
)
