"""Whether this is part of an orchestrator's run, where no connector is installed.

Apart from the installing itself, so that a step does not import that.
"""

import contextlib
import os
from collections.abc import Iterator
from contextvars import ContextVar

INSTALL_IN_RUN = "ETL_ASSETS_INSTALL_IN_RUN"

_in_run: ContextVar[bool] = ContextVar("etl_assets_in_run", default=False)


@contextlib.contextmanager
def in_run() -> Iterator[None]:
    """Mark what happens inside as part of an orchestrator's run, where nothing is installed."""
    before = _in_run.get()
    _in_run.set(True)
    try:
        yield
    finally:
        # Not by a token: the step of a generator may be ended from another context.
        _in_run.set(before)


def may_install() -> bool:
    """Return whether a missing connector may be installed now."""
    is_allowed_in_run = os.environ.get(INSTALL_IN_RUN, "0") not in {"", "0"}
    return is_allowed_in_run or not _in_run.get()
