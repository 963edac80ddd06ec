"""Make the index of connectors' names that is shipped, `etl_assets/connectors/known.json`. Asks no registry.

```shell
python connector_index/make.py
```

`packages.txt` names the packages that there are, one a line, sorted: a name in the index that is no
package would not install. `by_hand.json` says what their names do not: which of several packages is
meant by a name, what is installed beside it and which bad versions are left out (requirements, as
pip writes them), which taps take their catalog by `--properties`, which connectors are low-code
ones, and which are an image alone.
"""

import json
import re
import textwrap
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
INDEX = HERE.parent / "etl_assets" / "connectors" / "known.json"
_AIRBYTE = re.compile(r"airbyte-((?:source|destination)-.+)")
_SINGER = re.compile(r"(?:tap|target)-.+")
_NAME = re.compile(r"[A-Za-z0-9._-]+")
WIDTH = 120


def index_of(packages: Iterable[str], by_hand: Mapping[str, Any]) -> dict[str, Any]:
    """Return the index.

    Args:
        packages: The names of packages that there are.
        by_hand: What their names do not say.

    Raises:
        ValueError: What is said by hand names a package that is not in the list.
    """
    there = {line.strip() for line in packages if line.strip()}
    chosen: dict[str, list[str]] = by_hand["packages"]
    found: dict[str, list[str]] = {}
    for package in sorted(there):
        airbyte = _AIRBYTE.fullmatch(package)
        if airbyte:
            found[airbyte[1]] = [package]
        elif _SINGER.fullmatch(package):
            found[package] = [package]
    found.update(chosen)
    missing = [words[0] for words in found.values() if _package_of(words[0]) not in there]
    if missing:
        raise ValueError(
            f"by_hand.json names packages that packages.txt does not have: {', '.join(missing)}"
        )
    return {
        "images": sorted(set(by_hand["images"]) - found.keys()),
        "low_code": sorted(by_hand["low_code"]),
        "packages": {name: " ".join(words) for name, words in sorted(found.items())},
        "properties": sorted(by_hand["properties"]),
    }


def _package_of(requirement: str) -> str:
    match = _NAME.match(requirement)
    return match[0] if match else ""


def text_of(index: Mapping[str, Any]) -> str:
    """Return the index as it is written: JSON in lines that people can compare."""
    parts = []
    for key, value in index.items():
        if isinstance(value, Mapping):
            # Most packages are called as their connectors are: only what cannot be told from the
            # name is written.
            words = [
                json.dumps(f"{name}: {package}" if package != _usual(name) else name)
                for name, package in value.items()
            ]
        else:
            words = [json.dumps(name) for name in value]
        text = ", ".join(word.replace(" ", "\0") for word in words)  # no line ends inside of a name
        lines = textwrap.wrap(text, WIDTH - 4, break_on_hyphens=False, break_long_words=False)
        parts.append(
            f"  {json.dumps(key)}: [\n" + "\n".join(f"    {line}" for line in lines) + "\n  ]"
        )
    return ("{\n" + ",\n".join(parts) + "\n}\n").replace("\0", " ")


def _usual(name: str) -> str:
    return f"airbyte-{name}" if name.startswith(("source-", "destination-")) else name


def main() -> None:
    """Write the index."""
    packages = (HERE / "packages.txt").read_text("utf-8").splitlines()
    by_hand = json.loads((HERE / "by_hand.json").read_text("utf-8"))
    INDEX.write_text(text_of(index_of(packages, by_hand)), "utf-8")


if __name__ == "__main__":
    main()
