"""Where scripts find `Start` and `resolve_start`, which are those of `engine/start.py`."""

from etl_assets.engine.start import Start, resolve_start

__all__ = ["Start", "resolve_start"]
