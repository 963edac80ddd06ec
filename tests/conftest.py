"""What all tests share."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

from etl_assets.secrets import redaction

# No deadline: the machines that run this are busy, and a slow example is no wrong one.
settings.register_profile("etl_assets", deadline=None, print_blob=True)
settings.load_profile("etl_assets")


@pytest.fixture(autouse=True)
def secrets_of_its_own() -> Iterator[None]:
    """Forget the secrets of a test after it: what one has for a password may be a word that another looks for."""
    before = set(redaction._known)
    yield
    redaction._known.clear()
    redaction._known.update(before)
