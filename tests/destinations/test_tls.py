"""A server that proves who it is by a certificate authority of the user's own: trusted by that, and by nothing else."""

import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from etl_assets.destinations.postgres.destination import PostgresDestination
from etl_assets.exceptions import ConfigError
from etl_assets.sources.sql import PostgresSource
from tests.servers import POSTGRES, postgres_server

SSL_REQUEST = struct.pack(">ii", 8, 80877103)


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


class Authority:
    """A certificate authority, and one certificate by it."""

    def __init__(self, folder: Path, host: str) -> None:
        folder.mkdir()
        self.file, self.chain = folder / "ca.pem", folder / "server.pem"
        own, server = (
            ec.generate_private_key(ec.SECP256R1()),
            ec.generate_private_key(ec.SECP256R1()),
        )
        basic = x509.BasicConstraints(ca=True, path_length=None)
        ca = self._signed(own, own, "Our Authority", basic, critical=True)
        certificate = self._signed(
            server, own, host, x509.SubjectAlternativeName([x509.DNSName(host)])
        )
        key = server.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        self.file.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
        self.chain.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key)

    def _signed(
        self,
        key: ec.EllipticCurvePrivateKey,
        by: ec.EllipticCurvePrivateKey,
        subject: str,
        extension: x509.ExtensionType,
        *,
        critical: bool = False,
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        built = x509.CertificateBuilder(name("Our Authority"), name(subject), key.public_key())
        built = built.serial_number(x509.random_serial_number())
        built = built.not_valid_before(now - timedelta(days=1)).not_valid_after(
            now + timedelta(days=1)
        )
        return built.add_extension(extension, critical=critical).sign(by, hashes.SHA256())


class Terminator:
    """Speaks TLS for the PostgreSQL of the tests, which need not have it; lets nobody in without."""

    def __init__(self, authority: Authority) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(authority.chain)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.sessions = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        server = urlsplit(POSTGRES)
        with suppress(OSError), client:
            if client.recv(8, socket.MSG_WAITALL) != SSL_REQUEST:
                return
            client.sendall(b"S")
            with (
                self._context.wrap_socket(client, server_side=True) as encrypted,
                socket.create_connection(
                    (server.hostname or "127.0.0.1", server.port or 5432)
                ) as plain,
            ):
                self.sessions += 1
                back = threading.Thread(target=self._pump, args=(plain, encrypted), daemon=True)
                back.start()
                self._pump(encrypted, plain)
                back.join(5)

    def _pump(self, one: socket.socket, other: socket.socket) -> None:
        with suppress(OSError):
            while data := one.recv(65536):
                other.sendall(data)
            other.shutdown(socket.SHUT_WR)


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours", "localhost")


@pytest.fixture
def terminator(authority: Authority) -> Iterator[Terminator]:
    postgres_server()
    opened = Terminator(authority)
    yield opened
    opened.close()


def ask(kind: str, url: str) -> None:
    if kind == "source":
        PostgresSource(url, name="s").test_connection()
    else:
        PostgresDestination(url).test_connection()


def address(terminator: Terminator, host: str, root: str | Path) -> str:
    parts = urlsplit(POSTGRES)
    login, database = parts.username or "postgres", parts.path.strip("/")
    return f"postgresql://{login}@{host}:{terminator.port}/{database}?sslmode=verify-full&sslrootcert={root}"


@pytest.mark.parametrize("kind", ["source", "destination"])
def test_a_server_is_trusted_by_its_authority_and_name_alone(
    kind: str, terminator: Terminator, authority: Authority, tmp_path: Path
) -> None:
    ask(kind, address(terminator, "localhost", authority.file))
    assert terminator.sessions == 1
    with pytest.raises(ConfigError, match="does not match host"):
        ask(
            kind, address(terminator, "127.0.0.1", authority.file)
        )  # the certificate is for another name
    for root in ("system", Authority(tmp_path / "others", "localhost").file):
        with pytest.raises(ConfigError, match="SSL error") as caught:
            ask(kind, address(terminator, "localhost", root))
        assert "certificate authority" in (caught.value.hint or "")
