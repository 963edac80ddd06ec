"""What to install for a module that cannot be imported: our extras, drivers and dialects."""

from importlib import import_module
from types import ModuleType

from etl_assets.exceptions import ConfigError

EXTRAS = {
    "dagster_dg_cli": "dg",
    "fastavro": "files",
    "fsspec": "files",
    "google.cloud.bigquery": "bigquery",
    "google.cloud.secretmanager": "google",
    "h2": "rest",
    "httpx": "rest",
    "hypothesis": "testing",
    "jmespath": "rest",
    "polars": "polars",
    "psycopg": "postgres",
    "pymysql": "mysql",
    "pytest": "testing",
    "snowflake.connector": "snowflake",
    "tenacity": "rest",
    "xlrd": "files",
}
"""The extra of this library that brings a module."""

DRIVERS = {
    "MySQLdb": "mysqlclient",
    "asyncpg": "asyncpg",
    "cx_Oracle": "oracledb",
    "mariadb": "mariadb",
    "mysql.connector": "mysql-connector-python",
    "mysql": "mysql-connector-python",
    "oracledb": "oracledb",
    "pg8000": "pg8000",
    "psycopg2": "psycopg2-binary",
    "pymssql": "pymssql",
    "pyodbc": "pyodbc",
    "singer_sdk": "singer-sdk",
}
"""The packages of SQLAlchemy's drivers, and of other modules for which there is no extra."""

DIALECTS = {
    "awsathena": "pyathena",
    "bigquery": "sqlalchemy-bigquery",
    "clickhouse": "clickhouse-sqlalchemy",
    "clickhousedb": "clickhouse-connect",
    "cockroachdb": "sqlalchemy-cockroachdb",
    "crate": "sqlalchemy-cratedb",
    "databricks": "databricks-sqlalchemy",
    "db2": "ibm-db-sa",
    "duckdb": "duckdb-engine",
    "exa": "sqlalchemy-exasol",
    "firebird": "sqlalchemy-firebird",
    "hana": "sqlalchemy-hana",
    "ibm_db_sa": "ibm-db-sa",
    "redshift": "sqlalchemy-redshift",
    "singlestoredb": "sqlalchemy-singlestoredb",
    "snowflake": "snowflake-sqlalchemy",
    "teradatasql": "teradatasqlalchemy",
    "trino": "trino",
    "vertica": "sqlalchemy-vertica-python",
}
"""The package that brings a dialect of SQLAlchemy's, by the beginning of the URL."""


def require(module: str, user: str) -> ModuleType:
    """Import a module that only an extra brings.

    Args:
        module: Its name.
        user: What needs it, as the error's first words.

    Raises:
        ConfigError: It cannot be imported; the hint says what to install.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise ConfigError(
            f"{user} needs {module}, which cannot be imported: {error}.", hint=install(module)
        ) from error


def install(module: str) -> str:
    """Return the command that installs a module."""
    # The missing module may be a part of a package, or one that the package itself needs.
    for name in (module, module.partition(".")[0]):
        if name in EXTRAS:
            return f'pip install "etl-assets[{EXTRAS[name]}]"'
        if name in DRIVERS:
            return f"pip install {DRIVERS[name]}"
    return f"Install the package that brings {module}."


def missing_driver(drivername: str, error: ImportError, where: str) -> ConfigError:
    """Return the error of a driver that SQLAlchemy cannot import.

    Args:
        drivername: The beginning of the URL, as `mssql+pyodbc`.
        error: What the import says.
        where: Which connection, as the error's first words.
    """
    # A driver that is there, but lacks something, says no name: psycopg without libpq.
    hint = install(error.name or drivername.partition("+")[2])
    if error.name == "cx_Oracle":
        hint += ", and begin the url with oracle+oracledb://"
    return ConfigError(
        f"{where}: the driver of {drivername!r} cannot be imported: {error}.", hint=hint
    )


def missing_dialect(drivername: str, where: str) -> ConfigError:
    """Return the error of a URL that begins with a dialect which SQLAlchemy does not know.

    Args:
        drivername: The beginning of the URL, as `snowflake`.
        where: Which connection, as the error's first words.
    """
    package = DIALECTS.get(drivername.partition("+")[0])
    hint = "Check the beginning of the url, or install what brings its dialect."
    if package:
        hint = f"pip install {package}"
    return ConfigError(f"{where}: there is no dialect for {drivername!r}.", hint=hint)
