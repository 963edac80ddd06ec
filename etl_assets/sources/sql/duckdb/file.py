"""A DuckDB file that is opened to be read, in one snapshot.

It is never made and never written to.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConnectError
from etl_assets.sources.sql.clock import Clock

if TYPE_CHECKING:
    import sqlalchemy as sa

_DIALECT = "duckdb+etl_assets"
"""SQLAlchemy's name of our dialect."""

_SETTINGS = ("SET TimeZone = 'UTC'", "SET enable_progress_bar = false")
"""Of the session: others would change what is read, or write to standard output."""


def with_reflection(url: "sa.URL") -> "sa.URL":
    """Return a URL with the dialect that reads DuckDB's own catalog."""
    from sqlalchemy.dialects import registry

    registry.register(
        _DIALECT.replace("+", "."), "etl_assets.sources.sql.duckdb.dialect", "Dialect"
    )
    return url.set(drivername=_DIALECT)


def read_only(engine: "sa.Engine", source: str, clock: Clock) -> None:
    """Have an engine open a file to read it.

    Its transactions cannot write, and each statement has to end within its time.
    """
    from sqlalchemy import event

    def do_connect(dialect: Any, _record: Any, cargs: list[Any], cparams: dict[str, Any]) -> Any:
        name = str(cparams.get("database") or ":memory:")
        if name == ":memory:" or name.startswith(("md:", "motherduck:")):
            return None
        if not Path(name).is_file():
            raise ConnectError(
                f"source {source!r}: there is no file {name!r}.",
                hint="Check the path in the url; it is never created.",
            )
        return _opened(dialect, cargs, {**cparams, "read_only": True})

    def connect(driver: Any, _record: Any) -> None:
        for setting in _SETTINGS:
            driver.execute(setting)

    event.listen(engine, "do_connect", do_connect)
    event.listen(engine, "connect", connect)
    dialect: Any = engine.dialect
    dialect.reads_only = True
    dialect.clock = clock


def _opened(dialect: Any, cargs: list[Any], cparams: dict[str, Any]) -> Any:
    """Open the file, even if this process already has it open with other settings.

    Those settings hold then.
    """
    import duckdb

    from etl_assets.sources.sql.duckdb.dialect import Connection

    try:
        return dialect.connect(*cargs, **cparams)
    except duckdb.ConnectionException as error:
        if "different configuration" not in str(error):
            raise
        return Connection(duckdb.connect(cparams["database"]), dialect.clock)
