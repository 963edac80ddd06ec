"""The address of a database, which may hold a password: shown masked by every means but one."""

from typing import Any, Self

from typing_extensions import override

from etl_assets.redaction import remember
from etl_assets.redaction.places import is_cut, is_url, masked_address
from etl_assets.secrets.references import is_reference, resolve


class SecretUrl(str):
    """A URL or connection string whose text is the masked one.

    What it stands for is only told by `reveal()`.

    So `str`, `repr`, an f-string, `json.dumps`, a log line, a slice of it and whatever else reads a
    text see `postgresql://me:****@host/db`. A pickle holds the masked text alone; a copy within the
    process is the address.

    The password, and every parameter whose name says that it is secret, is masked, also in
    `odbc_connect`, and in connection strings such as `host=... password=...`. Of an address that
    cannot be read for sure, such as one whose password holds an `@` that is not percent-encoded,
    nothing is shown but the scheme.

    Two are equal where what they stand for is; so are one and the plain text it stands for.
    """

    __slots__ = ("_revealed",)
    _revealed: str

    def __new__(cls, address: Any) -> Self:  # noqa: D102 - said by the class
        text = revealed(address)
        made = super().__new__(cls, masked_address(text))
        made._revealed = text
        remember(text)
        return made

    def reveal(self) -> str:
        """Return what it stands for, with its password: for the driver alone."""
        return self._revealed

    @property
    def is_cut(self) -> bool:
        """Whether a special character cuts it within user or password: what follows would be read as an address."""
        return is_url(self._revealed) and is_cut(self._revealed)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self._revealed == revealed(other)

    @override
    def __ne__(self, other: object) -> bool:  # `str` has one of its own
        return not self == other

    @override
    def __hash__(self) -> int:
        return hash(self._revealed)

    @override
    def __reduce_ex__(self, protocol: Any) -> tuple[type, tuple[str]]:
        return type(self), (str(self),)

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self


def revealed(address: Any) -> str:
    """Return the text of an address: a `SecretUrl`, a SQLAlchemy URL, or a text."""
    if isinstance(address, SecretUrl):
        return address.reveal()
    render = getattr(address, "render_as_string", None)
    return str(render(hide_password=False) if callable(render) else address)


def secret_url(address: Any) -> Any:
    """Return a text or a SQLAlchemy URL as a `SecretUrl`.

    A reference, or anything else, as it is.
    """
    is_text = isinstance(address, str) and not is_reference(address)
    return SecretUrl(address) if is_text or hasattr(address, "render_as_string") else address


def resolve_url(address: Any, *, name: str = "url") -> SecretUrl:
    """Return an address with its reference resolved.

    Raises:
        ConfigError: The reference has no value.
    """
    if isinstance(address, SecretUrl):
        return address
    # A SQLAlchemy URL is a tuple, which `resolve` would go into.
    return SecretUrl(
        address if hasattr(address, "render_as_string") else resolve(address, name=name)
    )
