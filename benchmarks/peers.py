"""Other tools doing the same work, each in an environment of its own, made on request: none is a dependency of ours."""

import json
import shutil
import subprocess
import sys
import tarfile
import tempfile
import venv
from dataclasses import dataclass
from pathlib import Path

HOME = Path(".venv-peers").absolute()
DUCKDB = "1.5.5"
"""The DuckDB of the peers that are programs; they get its library, its shell and its extensions from registries."""
EXTENSIONS = [f"duckdb-extension-{name}=={DUCKDB}" for name in ("icu", "json", "parquet", "httpfs")]
LIBRARY = "@duckdb/node-bindings-linux-x64@1.5.5-r.5"
"""DuckDB's library, as npm has it."""


@dataclass(frozen=True)
class Peer:
    """What is installed.

    Args:
        packages: For pip.
        shown: The packages whose versions are told, its own first.
        same: Our versions of DuckDB and pyarrow are asked for: else DuckDB's versions would be
            compared.
        library: It loads DuckDB's library itself.
    """

    packages: list[str]
    shown: list[str]
    same: bool = False
    library: bool = False


PEERS = {
    "dlt": Peer(
        ["dlt[duckdb,postgres,sql_database,filesystem,parquet]==1.31.0", "sqlalchemy>=2", "pandas>=2.2",
         "psycopg[binary]", "pymysql"],
        ["dlt", "duckdb", "pyarrow"],
        same=True,
    ),
    "ingestr": Peer(["ingestr==1.1.19", *EXTENSIONS], ["ingestr", "duckdb-extension-icu"], library=True),
    "sling": Peer(
        ["sling-linux-amd64==1.4.11", f"duckdb-cli=={DUCKDB}", *EXTENSIONS], ["sling-linux-amd64", "duckdb-cli"]
    ),
    "pyairbyte": Peer(["airbyte==0.71.3"], ["airbyte", "duckdb", "pyarrow"]),
    "target-duckdb": Peer(["target-duckdb==0.8.0"], ["target-duckdb", "duckdb"]),
}  # fmt: skip
CONNECTORS = {"source-faker": Peer(["airbyte-source-faker==7.2.1"], ["airbyte-source-faker"])}
"""Not measured themselves: ours and a peer start the same one."""
QUIET = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    "RUNTIME__LOG_LEVEL": "ERROR",
    "DISABLE_TELEMETRY": "true",
    "INGESTR_DISABLE_TELEMETRY": "true",
    "SLING_DISABLE_TELEMETRY": "TRUE",
    "AIRBYTE_OFFLINE_MODE": "1",
    "DO_NOT_TRACK": "1",
}
"""In the environment of every candidate: nothing calls home while it is measured."""


def python(peer: str) -> Path:
    """Return the Python of a peer's environment."""
    return HOME / peer / "bin" / "python"


def program(peer: str, name: str) -> str:
    """Return a program that a peer's environment has, or that one of its packages ships."""
    found = [
        HOME / peer / "bin" / name,
        *(HOME / peer).glob(f"lib/python*/site-packages/*/bin/{name}"),
    ]
    return str(next(path for path in found if path.exists()))


def environment(peer: str) -> dict[str, str]:
    """Return the variables that a peer needs: a home of its own, where its DuckDB finds what it would download."""
    home = HOME / peer / "home"
    return {
        "HOME": str(home),
        "ADBC_DRIVER_PATH": str(home),
        "DUCKDB_PATH": str(home / "duckdb"),
        "SLING_HOME_DIR": str(home / "sling"),
    }


def there(peer: str) -> bool:
    """Tell whether a peer's environment was made."""
    return (HOME / peer / "made.json").exists()


def versions(peer: str) -> str:
    """Return a peer's version and that of its DuckDB."""
    found: dict[str, str] = json.loads((HOME / peer / "made.json").read_text(encoding="utf-8"))
    own, *others = {**PEERS, **CONNECTORS}[peer].shown
    beside = ", ".join(
        f"{'DuckDB' if name.startswith('duckdb') else name} {found[name]}" for name in others
    )
    return f"{peer} {found[own]} ({beside})"


def make(peer: str) -> None:
    """Make a peer's environment, its bytecode compiled: else the compiler is measured."""
    import duckdb
    import pyarrow as pa

    wanted = {**PEERS, **CONNECTORS}[peer]
    venv.create(HOME / peer, with_pip=True, clear=True)
    pip = [str(python(peer)), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    same = [f"duckdb=={duckdb.__version__}", f"pyarrow=={pa.__version__}"] if wanted.same else []
    subprocess.run([*pip, *wanted.packages, *same], check=True)
    subprocess.run(
        [str(python(peer)), "-m", "compileall", "-q", str(HOME / peer / "lib")], check=False
    )
    _furnish(peer, library=wanted.library)
    code = f"import importlib.metadata as m, json; print(json.dumps({{n: m.version(n) for n in {wanted.shown!r}}}))"
    told = subprocess.run(
        [str(python(peer)), "-c", code], check=True, capture_output=True, text=True
    ).stdout
    (HOME / peer / "made.json").write_text(told, encoding="utf-8")


def _furnish(peer: str, *, library: bool) -> None:
    """Put what its programs would download into the peer's home."""
    home = HOME / peer / "home"
    extensions = home / ".duckdb" / "extensions" / f"v{DUCKDB}" / "linux_amd64"
    extensions.mkdir(parents=True)
    (packages,) = (HOME / peer).glob("lib/python*/site-packages")
    for path in packages.glob("duckdb_extension_*/extensions/*/*.duckdb_extension"):
        (extensions / path.name).symlink_to(path)
    for path in (*packages.glob("duckdb_cli/duckdb"), *packages.glob("sling_*/bin/*")):
        path.chmod(0o755)
    if (packages / "duckdb_cli" / "duckdb").exists():
        (home / "duckdb").symlink_to(packages / "duckdb_cli" / "duckdb")
    if library:
        with tempfile.TemporaryDirectory() as folder:
            npm = shutil.which("npm")
            if npm is None:
                raise SystemExit(
                    f"{peer} needs DuckDB's library, which npm would bring; there is no npm."
                )
            subprocess.run(
                [npm, "pack", "--silent", LIBRARY],
                cwd=folder,
                check=True,
                stdout=subprocess.DEVNULL,
            )
            (packed,) = Path(folder).glob("*.tgz")
            with tarfile.open(packed) as archive, (home / "libduckdb.so").open("wb") as out:
                taken = archive.extractfile("package/libduckdb.so")
                assert taken is not None
                shutil.copyfileobj(taken, out)
        (home / "duckdb.toml").write_text(
            f'name = "duckdb"\nversion = "{DUCKDB}"\n\n[Driver]\nshared = "{home / "libduckdb.so"}"\n'
            'entrypoint = "duckdb_adbc_init"\n',
            encoding="utf-8",
        )


if __name__ == "__main__":
    for name in sys.argv[1:] or [*PEERS, *CONNECTORS]:
        make(name)
        print(versions(name))
