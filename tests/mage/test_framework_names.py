"""Every name of Mage's framework that its connectors import is found here, at Mage's path."""

import os
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

from tests.mage.framework import listed, scanned

SDK = ("BatchSink", "RecordSink", "SQLConnector", "SQLSink", "SQLTarget", "Sink", "Target")


@pytest.fixture
def singer_sdk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stands for the Singer SDK, which is installed where a connector wraps it."""
    for name in ("singer_sdk", "singer_sdk.sinks"):
        module = ModuleType(name)
        for word in SDK:
            setattr(module, word, type(word, (), {}))
        monkeypatch.setitem(sys.modules, name, module)
    for name in ("mage.singer_targets", "destinations.sink", "destinations.sqlsink"):
        monkeypatch.delitem(sys.modules, f"etl_assets.{name}", raising=False)


@pytest.mark.usefixtures("singer_sdk")
@pytest.mark.parametrize(("connector", "names"), sorted(listed().items()))
def test_a_connector_finds_what_it_imports(connector: str, names: set[tuple[str, str]]) -> None:
    for module, name in sorted(names):
        found = import_module(f"etl_assets.{module}")
        assert not name or hasattr(found, name), f"{connector}: etl_assets.{module} has no {name}"


def test_the_list_is_that_of_all_of_mages_connectors() -> None:
    kinds = [connector.split("/")[0] for connector in listed()]
    assert (kinds.count("sources"), kinds.count("destinations")) == (
        48,
        20,
    )  # three more import nothing of it
    root = os.environ.get("MAGE_INTEGRATIONS")
    if root:
        assert {name: found for name, found in scanned(Path(root)).items() if found} == listed()


def test_the_scan_sees_each_form_of_import_and_leaves_out_connectors(tmp_path: Path) -> None:
    files = {
        "sources/shop/__init__.py": "from mage_integrations.sources.base import Source, main\nimport pandas\n"
        "from mage_integrations.sources.shop.client import Client\n"
        "from mage_integrations.sources.other.client import Base\nif 1:\n    import mage_integrations.utils.array\n",
        "sources/shop/client.py": "from ..sql.base import Source as Sql\nfrom . import schemas\n",
        "sources/other/client.py": "from ...connections.mysql import MySQL\n",
        "sources/sql/base.py": "from mage_integrations.utils.logger import Logger\n",
        "destinations/queue/__init__.py": "def f():\n"
        "    from mage_integrations.destinations.constants import KEY_RECORD\n",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    assert scanned(tmp_path) == {
        "sources/shop": {
            ("sources.base", "Source"), ("sources.base", "main"), ("utils.array", ""), ("sources.sql.base", "Source")
        },
        "sources/other": {("connections.mysql", "MySQL")},
        "destinations/queue": {("destinations.constants", "KEY_RECORD")},
    }  # fmt: skip


def test_without_the_singer_sdk_the_error_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "singer_sdk", None)
    monkeypatch.delitem(sys.modules, "etl_assets.mage.singer_targets", raising=False)
    from etl_assets.destinations import target
    from etl_assets.exceptions import ConfigError

    with pytest.raises(ConfigError, match="pip install singer-sdk"):
        getattr(target, "Target")  # noqa: B009
    assert not hasattr(target, "Nothing")
