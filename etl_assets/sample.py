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


def make_shop(path: Path) -> None:
    """Make a SQLite file with the tables `customers` (2 rows) and `orders` (3 rows).

    Args:
        path: The file.

    Raises:
        ConfigError: There is something of that name already, or no folder for it.
    """
    if path.exists():
        raise ConfigError(f"There is a file {str(path)!r} already.", hint="Name another; nothing is written over.")
    if not path.absolute().parent.is_dir():
        raise ConfigError(f"There is no folder {str(path.parent)!r}.", hint="Make it first.")
    with closing(sqlite3.connect(path)) as shop:
        shop.executescript(f"BEGIN; {SHOP} COMMIT;")
