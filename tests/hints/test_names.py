"""What a hint names exists: each option, argument, command, variable and method that stands in one."""

import re

NAMED = re.compile(
    r"(?<![\w.\"'])([a-z_][a-z_0-9]*)=(?!=)|`([a-z_A-Z][\w.]*)`|\b([a-z]+(?:_[a-z0-9]+)+)\b(?!\()|(--[a-z-]+)"
)
COMMAND = re.compile(r"`?etl-assets ([a-z]+)(?: ([a-z]+))?")
VARIABLE = re.compile(r"\b(ETL_ASSETS_[A-Z_]+)\b")
CALLED = re.compile(r"\b([A-Za-z_]\w*)\(")
OTHERS = {
    "add": "",
}
