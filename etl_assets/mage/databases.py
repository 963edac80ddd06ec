"""The databases among Mage's connections; each driver is imported when a connection is opened."""

import io
import os
import struct
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Any, ClassVar

from typing_extensions import override

from etl_assets.mage.connections import Connection, ServiceConnection, SqlConnection, driver


class PostgreSQL(SqlConnection):
    """PostgreSQL, by psycopg2, or by psycopg without that.

    Args:
        database: The database.
        host: Where the server is.
        password: Of the user.
        username: The user.
        port: Of the server.
        connection_factory: A class of psycopg2's connections, such as the one for replication.
    """

    def __init__(
        self,
        database: str,
        host: str,
        password: str,
        username: str,
        port: int | None = None,
        connection_factory: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.database = database
        self.host = host
        self.password = password
        self.port = port or 5432
        self.username = username
        self.connection_factory = connection_factory

    @override
    def build_connection(self) -> Any:
        words: dict[str, Any] = {
            "dbname": self.database,
            "host": self.host,
            "password": self.password,
            "port": self.port,
            "user": self.username,
        }
        names = ["psycopg2", "psycopg"]
        if self.connection_factory is not None:
            words["connection_factory"] = self.connection_factory
            names = ["psycopg2"]
        return driver(*names, install="psycopg2-binary").connect(**words)

    @override
    def streaming_cursor(self, connection: Any) -> Any:
        return connection.cursor(name="etl_assets")


class ConnectionMethod(StrEnum):
    """How a server of MySQL's protocol is reached."""

    DIRECT = "direct"
    SSH_TUNNEL = "ssh_tunnel"


class MySQL(SqlConnection):
    """MySQL and what speaks its protocol, by mysql-connector, or by PyMySQL without that.

    Args:
        database: The database.
        host: Where the server is, seen from the SSH server if there is one.
        password: Of the user.
        username: The user.
        port: Of the server.
        connection_method: Directly, or through an SSH tunnel.
        conn_kwargs: Other arguments of the driver.
        ssh_host: The SSH server.
        ssh_port: Its port.
        ssh_username: Its user.
        ssh_password: The user's password.
        ssh_pkey: Or the private key: a file, or its text.
    """

    def __init__(  # noqa: PLR0913 - Mage's signature
        self,
        database: str,
        host: str,
        password: str,
        username: str,
        port: int | None = None,
        connection_method: ConnectionMethod | str = ConnectionMethod.DIRECT,
        *,
        conn_kwargs: Mapping[str, Any] | None = None,
        ssh_host: str | None = None,
        ssh_port: int = 22,
        ssh_username: str | None = None,
        ssh_password: str | None = None,
        ssh_pkey: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.database = database
        self.host = host
        self.password = password
        self.port = port or 3306
        self.username = username
        self.connection_method = connection_method
        self.conn_kwargs = dict(conn_kwargs or {})
        self.ssh_host = ssh_host
        self.ssh_port = ssh_port
        self.ssh_username = ssh_username
        self.ssh_password = ssh_password
        self.ssh_pkey = ssh_pkey
        self.ssh_tunnel: Any = None

    @override
    def build_connection(self) -> Any:
        host, port = self.host, self.port
        if self.connection_method == ConnectionMethod.SSH_TUNNEL:
            self.ssh_tunnel = self._open_tunnel()
            host, port = "127.0.0.1", self.ssh_tunnel.local_bind_port
        connect = driver("mysql.connector", "pymysql", install="mysql-connector-python").connect
        return connect(
            database=self.database,
            host=host,
            password=self.password,
            port=port,
            user=self.username,
            **self.conn_kwargs,
        )

    @override
    def close_connection(self, connection: Any) -> None:
        connection.close()
        if self.ssh_tunnel is not None:
            self.ssh_tunnel.stop()
            self.ssh_tunnel = None

    @override
    def streaming_cursor(self, connection: Any) -> Any:
        if type(connection).__module__.startswith("pymysql"):
            return connection.cursor(driver("pymysql.cursors", install="pymysql").SSCursor)
        return connection.cursor()

    def _open_tunnel(self) -> Any:
        words: dict[str, Any] = {"ssh_username": self.ssh_username}
        if self.ssh_pkey is None:
            words["ssh_password"] = self.ssh_password
        elif os.path.exists(self.ssh_pkey):  # noqa: PTH110 - a text may be too long to be a path
            words["ssh_pkey"] = self.ssh_pkey
        else:
            key = driver("paramiko", install="paramiko").RSAKey
            words["ssh_pkey"] = key.from_private_key(io.StringIO(self.ssh_pkey))
        forwarder = driver("sshtunnel", install="sshtunnel").SSHTunnelForwarder
        tunnel = forwarder(
            (self.ssh_host, self.ssh_port), remote_bind_address=(self.host, self.port), **words
        )
        tunnel.start()
        return tunnel


class Doris(MySQL):
    """Apache Doris, which speaks MySQL's protocol."""


_MSSQL_PORT = 1433


class MSSQL(SqlConnection):
    """Microsoft SQL Server, by pyodbc.

    Args:
        authentication: Of Azure, such as `ActiveDirectoryPassword`.
        database: The database.
        driver: The ODBC driver.
        host: Where the server is.
        password: Of the user.
        port: Of the server.
        username: The user.
    """

    def __init__(
        self,
        authentication: str | None = None,
        database: str | None = None,
        driver: str | None = None,
        host: str | None = None,
        password: str | None = None,
        port: int | None = _MSSQL_PORT,
        *,
        username: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.authentication = authentication
        self.database = database
        self.driver = driver or "ODBC Driver 18 for SQL Server"
        self.host = host
        self.password = password
        self.port = port or _MSSQL_PORT
        self.username = username

    @override
    def build_connection(self) -> Any:
        server = self.host
        if self.port != _MSSQL_PORT:
            server = f"{self.host},{self.port}"
        words = {
            "DRIVER": f"{{{self.driver}}}",
            "SERVER": server,
            "DATABASE": self.database,
            "UID": self.username,
            "PWD": _braced(self.password),
            "Authentication": self.authentication,
            "ENCRYPT": "yes",
            "TrustServerCertificate": "yes",
        }
        text = "".join(f"{word}={value};" for word, value in words.items() if value is not None)
        connection = driver("pyodbc", install="pyodbc").connect(text)
        connection.add_output_converter(_DATETIMEOFFSET, _instant)
        return connection


_DATETIMEOFFSET = -155


def _braced(text: str | None) -> str | None:
    """Return a value as a connection string has it: in braces if it has special characters."""
    if text is None or not set(text) & set(";{}="):
        return text
    escaped = text.replace("}", "}}")
    return f"{{{escaped}}}"


def _instant(raw: bytes) -> datetime:
    """Return a DATETIMEOFFSET of SQL Server.

    Its last digit counts hundreds of nanoseconds, which a `datetime` cannot hold.
    """
    year, month, day, hour, minute, second, nanoseconds, hours, minutes = struct.unpack(
        "<6hI2h", raw
    )
    zone = timezone(timedelta(hours=hours, minutes=minutes))
    return datetime(year, month, day, hour, minute, second, nanoseconds // 1000, zone)


class OracleDB(SqlConnection):
    """Oracle, by oracledb.

    Args:
        host: Where the server is.
        password: Of the user.
        user: The user.
        port: Of the server.
        service: Its service.
        mode: `thin`, or `thick` with Oracle's client.
    """

    def __init__(
        self,
        host: str,
        password: str,
        user: str,
        port: int | None = None,
        service: str | None = None,
        mode: str | None = "thin",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.host = host
        self.password = password
        self.port = port or 1521
        self.service = service
        self.user = user
        self.mode = mode

    def make_dsn(self) -> str:
        """Return the address as Oracle writes it."""
        return f"{self.host}:{self.port}/{self.service}"

    @override
    def build_connection(self) -> Any:
        oracle = driver("oracledb", install="oracledb")
        if (self.mode or "").lower() == "thick":
            oracle.init_oracle_client()
        return oracle.connect(user=self.user, password=self.password, dsn=self.make_dsn())


class _ByWords(SqlConnection):
    """A database whose driver takes the arguments that the connector passes.

    Args:
        words: The arguments by name; each becomes an attribute as well.
    """

    words: Sequence[str] = ()
    """The arguments that are passed to the driver."""
    defaults: ClassVar[Mapping[str, Any]] = {}

    def __init__(self, **words: Any) -> None:
        super().__init__(verbose=words.pop("verbose", 1))
        for name in {*self.words, *self.defaults, *words}:
            value = words.get(name)
            if value is None:
                value = self.defaults.get(name)
            setattr(self, name, value)

    def said(self) -> dict[str, Any]:
        """Return the driver's arguments that have a value."""
        given = {name: getattr(self, name) for name in self.words}
        return {name: value for name, value in given.items() if value is not None}


class Redshift(_ByWords):
    """Amazon Redshift, by redshift-connector.

    It takes the arguments of `redshift_connector.connect`.
    """

    words = (
        *("access_key_id", "cluster_identifier", "database", "db_user", "host", "password"),
        *("port", "region", "secret_access_key", "user"),
    )
    defaults: ClassVar[Mapping[str, Any]] = {"port": 5439}

    @override
    def build_connection(self) -> Any:
        return driver("redshift_connector", install="redshift-connector").connect(
            **{name: getattr(self, name) for name in self.words}
        )


class Snowflake(_ByWords):
    """Snowflake, by its connector.

    It takes the arguments of `snowflake.connector.connect`, and `username`.
    """

    words = (
        "account",
        "database",
        "schema",
        "warehouse",
        "password",
        "private_key_file",
        "private_key_file_pwd",
        "role",
    )
    defaults: ClassVar[Mapping[str, Any]] = {"username": None}

    @override
    def build_connection(self) -> Any:
        words = {**self.said(), "user": getattr(self, "username", None)}
        if isinstance(words.get("private_key_file_pwd"), str):
            words["private_key_file_pwd"] = words["private_key_file_pwd"].encode()
        return driver("snowflake.connector", install="snowflake-connector-python").connect(**words)


class Teradata(_ByWords):
    """Teradata, by teradatasql."""

    words = ("database", "host", "password", "port", "username")
    defaults: ClassVar[Mapping[str, Any]] = {"port": 1025}

    @override
    def build_connection(self) -> Any:
        said = self.said()
        return driver("teradatasql", install="teradatasql").connect(
            database=said.get("database"),
            dbs_port=said["port"],
            host=said.get("host"),
            password=said.get("password"),
            user=said.get("username"),
        )


class Trino(_ByWords):
    """Trino, by its client.

    It takes `catalog`, `host`, `password`, `port`, `schema`, `username` and `verify`.
    """

    words = ("catalog", "host", "port", "schema", "verify")
    defaults: ClassVar[Mapping[str, Any]] = {
        "port": 8080,
        "verify": False,
        "username": None,
        "password": None,
    }

    @override
    def build_connection(self) -> Any:
        trino = driver("trino", install="trino")
        words = {**self.said(), "user": getattr(self, "username", None)}
        password = getattr(self, "password", None)
        if password:
            words["auth"] = trino.auth.BasicAuthentication(words["user"], password)
            words["http_scheme"] = "https"
        return trino.dbapi.connect(**words)


class BigQuery(ServiceConnection, SqlConnection):
    """BigQuery, by its client.

    Args:
        credentials_info: The service account's JSON, or credentials.
        path_to_credentials_json_file: Or the file that holds it.
        location: Of the data.
    """

    def __init__(
        self,
        credentials_info: Any = None,
        path_to_credentials_json_file: str | None = None,
        location: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(credentials_info, path_to_credentials_json_file, **kwargs)
        self.location = location
        self.credentials_info = self.credentials()
        bigquery = driver("google.cloud.bigquery", install="google-cloud-bigquery")
        self.client = bigquery.Client(credentials=self.credentials_info, location=location)

    @override
    def build_connection(self) -> Any:
        return driver("google.cloud.bigquery.dbapi", install="google-cloud-bigquery").Connection(
            self.client
        )


class Couchbase(Connection):
    """Couchbase, by its SDK.

    Args:
        bucket: The bucket.
        scope: The scope in it.
        connection_string: Where the cluster is.
        password: Of the user.
        username: The user.
    """

    def __init__(
        self,
        bucket: str,
        scope: str,
        connection_string: str,
        password: str,
        username: str,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.bucket = bucket
        self.scope = scope
        self.connection_string = connection_string
        self.password = password
        self.username = username

    def get_bucket(self) -> Any:
        """Open the bucket."""
        login = driver("couchbase.auth", install="couchbase").PasswordAuthenticator(
            self.username, self.password
        )
        options = driver("couchbase.options", install="couchbase").ClusterOptions(login)
        return (
            driver("couchbase.cluster", install="couchbase")
            .Cluster(self.connection_string, options)
            .bucket(self.bucket)
        )

    def get_scope(self) -> Any:
        """Open the scope."""
        return self.get_bucket().scope(self.scope)

    def get_all_collections(self) -> list[str]:
        """Return the names of the scope's collections."""
        scopes = self.get_bucket().collections().get_all_scopes()
        own = [scope for scope in scopes if scope.name == self.scope]
        return [collection.name for scope in own for collection in scope.collections]

    def load(self, query: str) -> list[Any]:
        """Return the rows of a query."""
        return list(self.get_scope().query(query).rows())


class Dremio(_ByWords):
    """Dremio, by the client of its Arrow Flight endpoint.

    It takes the arguments of `DremioFlightEndpoint`.
    """

    words = (
        *("username", "query", "hostname", "port", "password", "token", "tls"),
        *("disable_certificate_verification", "path_to_certs", "session_properties"),
    )
    defaults: ClassVar[Mapping[str, Any]] = {
        "port": 32010,
        "tls": False,
        "disable_certificate_verification": False,
        "source_backend": None,
        "schema": None,
    }

    @override
    def build_connection(self) -> Any:
        endpoint = driver("dremio.flight.endpoint", install="dremio-flight").DremioFlightEndpoint
        self.dremio_flight_endpoint = endpoint({"query": None, **self.said()})
        return self.dremio_flight_endpoint.connect()

    @override
    def execute(self, query_strings: Any, *given: Any, **words: Any) -> Any:
        """Return the rows of a query as a DataFrame."""
        del given, words
        self.query = query_strings
        return self.dremio_flight_endpoint.execute_query(self.build_connection())

    @override
    def load(self, query_string: str) -> list[Any]:
        found = self.execute(query_string).astype(object)
        rows: list[Any] = found.where(found.notna(), None).to_numpy().tolist()
        return rows

    @override
    def close_connection(self, connection: Any) -> None:
        """Nothing: the endpoint keeps none open."""
