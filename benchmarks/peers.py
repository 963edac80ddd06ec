"""Other tools doing the same work, each in an environment of its own, made on request: none is a dependency of ours."""

import json
import subprocess
import sys
import venv
from pathlib import Path

PEERS = {"dlt": ["dlt[duckdb,sql_database,filesystem,parquet]==1.31.0", "sqlalchemy>=2", "pandas>=2.2"]}
HOME = Path(".venv-peers")
QUIET = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "1",
}
"""In the environment of every candidate: nothing calls home while it is measured."""


def python(peer: str) -> Path:
    """Give the Python of a peer's environment."""
    return HOME / peer / "bin" / "python"


def there(peer: str) -> bool:
    """Tell whether a peer's environment was made."""
    return (HOME / peer / "made.json").exists()


def versions(peer: str) -> str:
    """Give a peer's version and that of its DuckDB."""
    found: dict[str, str] = json.loads((HOME / peer / "made.json").read_text(encoding="utf-8"))
    return f"{peer} {found[peer]} (DuckDB {found['duckdb']}, pyarrow {found['pyarrow']})"


def make(peer: str) -> None:
    """Make a peer's environment, its bytecode compiled: else the compiler is measured."""
    import duckdb
    import pyarrow as pa

    venv.create(HOME / peer, with_pip=True, clear=True)
    pip = [str(python(peer)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    same = [f"duckdb=={duckdb.__version__}", f"pyarrow=={pa.__version__}"]  # else DuckDB's versions are compared
    subprocess.run([*pip, *PEERS[peer], *same], check=True)
    subprocess.run([str(python(peer)), "-m", "compileall", "-q", str(HOME / peer / "lib")], check=False)
    asked = [peer, "duckdb", "pyarrow"]
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {asked!r}}}))"
    told = subprocess.run([str(python(peer)), "-c", code], check=True, capture_output=True, text=True).stdout
    (HOME / peer / "made.json").write_text(told, encoding="utf-8")


if __name__ == "__main__":
    for name in sys.argv[1:] or PEERS:
        make(name)
