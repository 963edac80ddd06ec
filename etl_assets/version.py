"""The version of this library."""

from etl_assets import __version__


def get_version() -> str:
    """Give the version, such as `0.1.0`."""
    return __version__


__all__ = ["__version__", "get_version"]
