"""What a script can have called."""

from collections.abc import Callable
from typing import Any

ConfigChangeCallback = Callable[[dict[str, Any]], None]
"""Called with the whole new config when a connector has changed it, such as to renew a token.

If it raises, the sync fails, because a token that is not saved is lost.
"""
