"""The destination that `docs/own-database.md` shows passes the kit as it stands there: what is derived holds."""

import re
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from etl_assets.testing import DestinationConformance

PAGE = Path(__file__).resolve().parents[2] / "docs" / "own-database.md"


def shown() -> Any:
    """Return the page's first example, run."""
    found = re.search(
        r"^```python\n(.*?)^```$", PAGE.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    assert found is not None
    module = ModuleType("own_database")
    exec(compile(found[1], str(PAGE), "exec"), vars(module))  # noqa: S102 - our own page
    return module


class TestShownInTheGuide(DestinationConformance):
    title = "docs/own-database.md"

    @pytest.fixture
    def destination(self, tmp_path: Path) -> Any:
        self.folder, self.shown = tmp_path, shown()
        return self.shown.MyDestination(
            path=str(tmp_path / "mine.db"), staging_dir=str(tmp_path / "staging")
        )

    def left_over(self) -> Sequence[str]:
        files = [path.name for path in self.folder.iterdir() if path.name != "mine.db"]
        with closing(self.shown.sqlite3.connect(self.folder / "mine.db")) as file:
            found = file.execute(
                "SELECT name FROM sqlite_master WHERE name LIKE '%etl\\_assets\\_new%' ESCAPE '\\'"
            )
            return files + [name for (name,) in found]
