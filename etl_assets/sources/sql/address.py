"""Where a database is, and whom to trust on the way there.

It is a URL or its parts, which are resolved when a connection is opened.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from etl_assets.exceptions import ConfigError
from etl_assets.local_hosts import are_local, libpq_hosts
from etl_assets.secrets.references import resolve
from etl_assets.secrets.string import SecretString
from etl_assets.secrets.url import SecretUrl, resolve_url

if TYPE_CHECKING:
    import sqlalchemy as sa

DRIVERS = {"postgresql": "psycopg", "postgres": "psycopg", "mysql": "pymysql", "mariadb": "pymysql"}
"""The drivers this library's extras install, for a URL that names none."""

_TLS_WORDS = {
    "postgresql": ("sslmode", "service", "requiressl"),
    "mysql": (
        "ssl",
        "ssl_ca",
        "ssl_disabled",
        "ssl_mode",
        "ssl_verify_cert",
        "ssl_verify_identity",
    ),
}


@dataclass(frozen=True)
class Parts:
    """What a URL is made of, where it is given in parts; each may be a reference.

    Args:
        dialect: SQLAlchemy's name, such as `postgresql`.
        host: The server; None for this machine.
        port: Where it listens; None for the usual one.
        user: Who logs in.
        password: With what.
        database: The database, or SQLite's file.
        query: What else the URL says.
    """

    dialect: str
    host: Any = None
    port: Any = None
    user: Any = None
    password: Any = field(default=None, repr=False)
    database: Any = None
    query: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def values(self) -> dict[str, Any]:
        """Return the parts of a server's address, references resolved.

        Raises:
            ConfigError: A reference has no value, or the port is no number.
        """
        names = ("host", "port", "user", "password", "database")
        values = {name: resolve(getattr(self, name), name=name) for name in names}
        port = values["port"]
        try:
            values["port"] = None if port is None else int(port)
        except (TypeError, ValueError):
            raise ConfigError(f"port is {port!r}, not a number.") from None
        return values

    def url(self) -> "sa.URL":
        """Return the URL, references resolved."""
        import sqlalchemy as sa

        values = self.values()
        password = values["password"]
        if password is not None:
            password = SecretString(password)
        return sa.URL.create(
            self.dialect,
            values["user"],
            password,
            values["host"],
            values["port"],
            values["database"],
            resolve(self.query, name="query"),
        )


def parse_url(value: Any, source: str) -> "sa.URL":
    """Resolve and parse a URL; a dialect without a driver gets the one of our extras.

    Raises:
        ConfigError: It is none, or its reference has no value. The text is not shown: it may hold a
            password.
    """
    if isinstance(value, Parts):
        url = value.url()
        SecretUrl(url)  # what is secret in it is known from here on
    else:
        url = _parsed(resolve_url(value, name=f"the url of source {source!r}"), source)
    driver = DRIVERS.get(url.drivername)
    if driver:
        name = "postgresql" if url.drivername == "postgres" else url.drivername
        url = url.set(drivername=f"{name}+{driver}")
    return url


def _parsed(address: SecretUrl, source: str) -> "sa.URL":
    import sqlalchemy as sa

    try:
        if not address.is_cut:
            return sa.make_url(address.reveal())
    except (sa.exc.ArgumentError, ValueError):  # of a port that is no number
        pass
    # Raised out here, so that the parser's error, which shows the text, is not what it comes from.
    raise ConfigError(
        f"source {source!r}: its url is not a database URL.",
        hint="Write dialect://user:password@host:port/database, with special characters "
        "percent-encoded.",
    )


def looks_like_url(value: Any) -> bool:
    """Return whether a value that may be a name is a URL, whose form no name of a source has."""
    return (isinstance(value, str) and ":" in value) or hasattr(value, "drivername")


def verified_tls(url: Any, args: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments with which the driver encrypts, and checks whom it talks to.

    It checks the server's certificate and name. There are no arguments where the server is on this
    machine, or where the URL or the given arguments say themselves how far to trust.

    Args:
        url: A URL of SQLAlchemy, or what has its attributes.
        args: What the driver is told beside it.
    """
    backend = "mysql" if url.get_backend_name() in {"mysql", "mariadb"} else url.get_backend_name()
    said = {*args, *url.query}
    if backend not in _TLS_WORDS or said & {*_TLS_WORDS[backend]} or _is_local(url, args, backend):
        return {}
    driver = url.drivername.partition("+")[2]
    if backend == "postgresql" and driver in {"psycopg", "psycopg2"}:
        return {"sslmode": "verify-full"} | (
            {} if "sslrootcert" in said else {"sslrootcert": "system"}
        )
    if driver == "pymysql":
        import ssl

        return {"ssl": ssl.create_default_context()}
    return {"ssl_mode": "VERIFY_IDENTITY"} if driver == "mysqldb" else {}


def _is_local(url: Any, args: Mapping[str, Any], backend: str) -> bool:
    """Return whether the server, by each name that the driver may prefer, is this machine."""
    if {"unix_socket", "read_default_file"} & {*args, *url.query}:
        return True
    names = ("host", "hostaddr") if backend == "postgresql" else ("host",)
    given = [url.host, *(said.get(name) for said in (url.query, args) for name in names)]
    return are_local(libpq_hosts(given) if backend == "postgresql" else given)
