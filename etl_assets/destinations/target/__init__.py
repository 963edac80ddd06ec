"""A destination run as a program: a Singer target on standard input, with Mage's modes and flags.

`modes` is mixed into the base class of destinations and `arguments` reads the command line. `load`
is the verb: `read` and `streams` make standard input a source, `sessions` is the destination as
such a load sees it, and `states` says which states may be passed on. `words` and `rows` serve the
hooks for rows, whether their records come from a pipe or from an asset.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from etl_assets.registry import reach

if TYPE_CHECKING:
    from etl_assets.destinations.target.load import load_messages

_SINGER_SDK = {"SQLTarget", "Target"}
"""The Singer SDK's targets, which destinations written for Mage import from here."""

__all__ = ["load_messages"]


if not TYPE_CHECKING:  # to a type checker, every name would be there

    def __getattr__(name: str) -> Any:
        if name in _SINGER_SDK:
            return getattr(reach("singer_targets"), name)
        if name in __all__:
            return getattr(import_module(f"{__name__}.load"), name)
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
