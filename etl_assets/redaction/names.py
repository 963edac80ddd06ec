"""Which names say that their value is secret."""

import re

_WORDS = (
    "password|passwd|passphrase|passcode|secret|token|credential|authorization|authenticator"
    "|signature|(?:api|private|access|account|signing|encryption)_?key"
)
_SECRET = re.compile(rf"{_WORDS}|pwd|dsn", re.IGNORECASE)
_PARAMETER = re.compile(
    rf"{_WORDS}|pwd|(?:^|[-_.])(?:key|sig|auth|code|pass|pw|jwt)$", re.IGNORECASE
)
_ABOUT_A_SECRET = re.compile(r"[-_](?:path|file|type)$", re.IGNORECASE)
"""The end of a name that says where a secret is, or of which kind."""

PAIR_NAME = rf"(?:{_WORDS}|pwd|[?&;](?:[\w.-]{{0,40}}[-_.])?(?:key|sig|auth|code|pass|pw|jwt))"
"""The end of a name before a `=` in any text.

Short words count only at the beginning of a URL's parameter.
"""


def says_secret(name: str) -> bool:
    """Return whether the name of an option or of a config's field says that its value is secret."""
    return bool(_SECRET.search(name)) and not _ABOUT_A_SECRET.search(name)


def is_secret_parameter(name: str) -> bool:
    """Return whether the name of a parameter of an address says that its value is secret."""
    return bool(_PARAMETER.search(name))
