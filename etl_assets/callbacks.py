"""What a script can have called."""

from collections.abc import Callable
from typing import Any

ConfigChangeCallback = Callable[[dict[str, Any]], None]
"""Takes the whole new config when a connector has changed it (a token that was renewed). What it raises fails the sync:
a token that was not saved is lost."""
