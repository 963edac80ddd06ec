"""`etl-assets init`: a new project for Dagster's command `dg`, which runs as it is."""

import importlib.util
import keyword
import re
from collections.abc import Callable
from pathlib import Path

from etl_assets.exceptions import ConfigError
from etl_assets.sample import make_shop

_NAME = re.compile(r"[a-z][a-z0-9]*([_-][a-z0-9]+)*")

_PYPROJECT = """\
[project]
name = "{name}"
version = "0.1.0"
requires-python = ">=3.11"
dependencies = ["etl-assets[dg]"]

[build-system]
requires = ["hatchling>=1.27"]
build-backend = "hatchling.build"

[tool.hatch.build.targets.wheel]
packages = ["{package}"]

[tool.dg]
directory_type = "project"

[tool.dg.project]
root_module = "{package}"
"""

_DEFINITIONS = '''\
"""What Dagster loads: every component and definition of the folder `defs`."""

from pathlib import Path

import dagster as dg


@dg.definitions
def defs() -> dg.Definitions:
    return dg.load_from_defs_folder(path_within_project=Path(__file__).parent)
'''

_COMPONENT = """\
# A sample: two tables of a SQLite file, loaded into DuckDB. Put your own source in its place; a
# secret stays in the environment, as in `url: "{{ env.SHOP_URL }}"`.
type: etl_assets.StreamsComponent

attributes:
  source:
    name: sqlite
    source_name: shop
    path: shop.db
  destination:
    name: duckdb
    path: warehouse.duckdb
  streams:
    customers:
      primary_key: id
    orders:
      primary_key: id
      replication_key: updated_at
"""

_INSTANCE = """\
# Read where DAGSTER_HOME is not set. Without it, `dg launch` would forget every event at its end.
telemetry:
  enabled: false
storage:
  sqlite:
    base_dir: .dagster/storage
local_artifact_storage:
  module: dagster._core.storage.root
  class: LocalArtifactStorage
  config:
    base_dir: .dagster
compute_logs:
  module: dagster._core.storage.local_compute_log_manager
  class: LocalComputeLogManager
  config:
    base_dir: .dagster/compute_logs
"""

_IGNORED = """\
.dagster/
.env
.local_defs_state/
.venv/
__pycache__/
*.duckdb
shop.db
"""


def make_project(folder: Path, say: Callable[[str], None]) -> int:
    """Write a project with a sample source, and say how to go on.

    Args:
        folder: Where to; its name is the project's.
        say: Takes each line.

    Raises:
        ConfigError: The name is no name of a project, or the folder holds something.
    """
    name = folder.absolute().name
    package = name.replace("-", "_")
    _check(folder, name, package)
    files = {
        "pyproject.toml": _PYPROJECT.format(name=name, package=package),
        "dagster.yaml": _INSTANCE,
        ".gitignore": _IGNORED,
        f"{package}/__init__.py": "",
        f"{package}/definitions.py": _DEFINITIONS,
        f"{package}/defs/__init__.py": "",
        f"{package}/defs/shop/defs.yaml": _COMPONENT,
    }
    for path, text in files.items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
        say(f"{target}")
    make_shop(folder / "shop.db")
    say(f"{folder / 'shop.db'}")
    say("")
    say("Go on with:")
    say(f"  cd {folder}")
    say("  dg check defs")
    say("  dg launch --assets '*'")
    say("  dg dev")
    return 0


def _check(folder: Path, name: str, package: str) -> None:
    if not _NAME.fullmatch(name) or keyword.iskeyword(package):
        raise ConfigError(
            f"{name!r} is no name of a project.",
            hint="Use small letters, digits and '_' or '-', such as my-shop.",
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError(
            f"There is something at {str(folder)!r} already.",
            hint="Name a folder that is empty, or not there yet; nothing is written over.",
        )
    if importlib.util.find_spec(package) is not None:
        raise ConfigError(
            f"There is a Python module {package!r} already, which the project's would hide.",
            hint="Choose another name.",
        )
