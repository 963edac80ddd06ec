"""A hint, taken from an error and followed."""

import re
from collections.abc import Callable
from typing import Any

import pytest

from etl_assets.exceptions import EtlAssetsError


def hint_of(do: Callable[[], Any], *parts: str) -> str:
    """Return the hint of the error that something raises; each of `parts` has to stand in it, word for word."""
    with pytest.raises(EtlAssetsError) as caught:
        do()
    hint = str(caught.value.hint)
    for part in parts:
        assert re.search(rf"(?<!\w){re.escape(part)}(?!\w)", hint), f"{part!r} is not in {hint!r}"
    return hint
