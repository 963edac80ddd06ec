"""What an installation says of itself while it goes on: it may take minutes."""

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

from etl_assets.progress import ProgressStyle, chosen_style
from etl_assets.redaction.logs import masked_logger

EVERY_SECONDS = 10.0
_log = masked_logger("etl_assets.connectors")


def tell(text: str) -> None:
    """Log a line, and show it on standard error, unless `ETL_ASSETS_PROGRESS` is `none`."""
    _log.info("%s", text)
    if chosen_style() is not ProgressStyle.NONE:
        print(text, file=sys.stderr, flush=True)  # noqa: T201 - said to the person who waits


def run(
    command: Sequence[str], still: str, *, cwd: str, env: Mapping[str, str], timeout: float
) -> "subprocess.CompletedProcess[bytes]":
    """Run a command to its end, and say every few seconds that it goes on.

    Args:
        command: The command and its arguments.
        still: What it is doing.
        cwd: Its working directory.
        env: Its environment.
        timeout: Seconds after which it is killed.

    Raises:
        subprocess.TimeoutExpired: It took longer.
        OSError: It cannot be started.
    """
    began = time.monotonic()
    with subprocess.Popen(  # noqa: S603 - an installer, and our own arguments
        command,
        cwd=cwd,
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        try:
            while True:
                try:
                    output, errors = process.communicate(timeout=EVERY_SECONDS)
                except subprocess.TimeoutExpired:
                    seconds = time.monotonic() - began
                    if seconds > timeout:
                        raise
                    tell(f"{still}, for {seconds:.0f} s now")
                else:
                    return subprocess.CompletedProcess(
                        list(command), process.returncode, output, errors
                    )
        finally:
            if process.returncode is None:
                process.kill()
