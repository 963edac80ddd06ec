"""The address of a database, whose password only one method shows."""

from typing import Any, Self

from typing_extensions import override

from etl_assets.redaction import remember
from etl_assets.redaction.places import is_cut, is_url, masked_address
from etl_assets.secrets.references import is_reference, resolve


class SecretUrl(str):
    """A URL or connection string whose text is masked; only `reveal()` returns the address itself.

    So `str`, `repr`, an f-string, `json.dumps`, a log line, a slice and everything else that reads
    a text see `postgresql://me:****@host/db`. A pickle contains only the masked text. A copy within
    the process is the address.

    The password is masked, and so is every parameter whose name says that it is secret, also in
    `odbc_connect` and in connection strings such as `host=... password=...`. If an address cannot
    be read with certainty, for example because its password contains an `@` that is not
    percent-encoded, only its scheme is shown.

    Two of them are equal if their addresses are. One is also equal to its address as plain text.
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
        """Return the address itself, with its password, which is only for the driver."""
        return self._revealed

    @property
    def is_cut(self) -> bool:
        """Whether a special character within user or password makes the rest look like a host."""
        return is_url(self._revealed) and is_cut(self._revealed)

    @override
    def __eq__(self, other: object) -> bool:
        return isinstance(other, str) and self._revealed == revealed(other)

    @override
    def __ne__(self, other: object) -> bool:  # else that of `str` would be used
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
    if callable(render):
        return str(render(hide_password=False))
    return str(address)


def secret_url(address: Any) -> Any:
    """Return a text or a SQLAlchemy URL as a `SecretUrl`, and anything else as it is."""
    is_text = isinstance(address, str) and not is_reference(address)
    if is_text or hasattr(address, "render_as_string"):
        return SecretUrl(address)
    return address


def resolve_url(address: Any, *, name: str = "url") -> SecretUrl:
    """Return an address with its reference resolved.

    Raises:
        ConfigError: The reference has no value.
    """
    if isinstance(address, SecretUrl):
        return address
    is_sqlalchemy_url = hasattr(address, "render_as_string")
    if not is_sqlalchemy_url:  # it is a tuple, whose items `resolve` would replace
        address = resolve(address, name=name)
    return SecretUrl(address)
