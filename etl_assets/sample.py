"""A small shop in a SQLite file: something to read from while one tries the library out."""

import sqlite3
from contextlib import closing
from pathlib import Path

from etl_assets.exceptions import ConfigError

SHOP = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, amount DECIMAL(10, 2), note TEXT,
    updated_at TIMESTAMP NOT NULL
);
INSERT INTO customers VALUES (1, 'Ada', 'ada@example.com'), (2, 'Grace', NULL);
INSERT INTO orders VALUES
    (1, 1, 9.5, NULL, '2026-01-01 09:00:00'),
    (2, 2, 20, 'gift', '2026-01-02 10:30:00'),
    (3, 1, 3.2, NULL, '2026-01-03 08:15:00');
"""
_TABLES = "SELECT name, sql FROM sqlite_master WHERE type = 'table'"


def make_shop(path: Path) -> bool:
    """Create a SQLite file with the tables `customers` and `orders`, unless it exists.

    Args:
        path: The file.

    Returns:
        Whether it was created. An existing file is not changed.

    Raises:
        ConfigError: Something else has that name, or its folder does not exist.
    """
    if path.exists():
        if _is_shop(path):
            return False
        raise ConfigError(
            f"There is a file {str(path)!r} already.", hint="Name another; nothing is written over."
        )
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"There is no folder {str(path.parent)!r}.", hint="Make it first.")
    with closing(sqlite3.connect(path)) as shop:
        shop.executescript(f"BEGIN; {SHOP} COMMIT;")
    return True


def _is_shop(path: Path) -> bool:
    """Return whether a file holds the tables of the shop, as they were made."""
    with closing(sqlite3.connect(":memory:")) as made:
        made.executescript(SHOP)
        tables = set(made.execute(_TABLES))
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as found:
            return tables <= set(found.execute(_TABLES))
    except sqlite3.Error:  # a folder, or a file of another kind
        return False
