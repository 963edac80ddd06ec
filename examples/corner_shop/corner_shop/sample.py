"""Make the data that the sources read: a database, and a file of tickets.

`python -m corner_shop.sample` makes both, as they are after a week. A second word says what happens
then: `next-day`, `mistake` or `correction`.
"""

import json
import sqlite3
import sys
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

OPENED = datetime.fromisoformat("2026-01-01 09:00:00")
DAYS = 7
VISITS_A_DAY = 5
PRODUCTS = [("apples", 0.4), ("bread", 3.2), ("cheese", 6.5), ("dates", 4.1)]
CUSTOMERS = ["Ada", "Grace", "Hedy", "Joan", "Mary"]
TICKETS = Path("data/tickets.jsonl")
DATABASE = Path("data/shop.db")
TABLES = """
CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, email TEXT NOT NULL);
CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price DECIMAL(10, 2) NOT NULL);
CREATE TABLE orders (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, product_id INTEGER NOT NULL,
    quantity INTEGER NOT NULL, status TEXT NOT NULL, updated_at TIMESTAMP NOT NULL
);
CREATE TABLE visits (
    id INTEGER PRIMARY KEY, customer_id INTEGER NOT NULL, visited_at TIMESTAMP NOT NULL
);
"""


def make_shop() -> None:
    """Create the database and the file of tickets. Existing ones are replaced."""
    DATABASE.parent.mkdir(exist_ok=True)
    for path in (DATABASE, TICKETS):
        path.unlink(missing_ok=True)
    with closing(sqlite3.connect(DATABASE)) as shop, shop:
        shop.executescript(TABLES)
        people = [(id_, name, f"{name.lower()}@example.com") for id_, name in enumerate(CUSTOMERS)]
        shop.executemany("INSERT INTO customers VALUES (?, ?, ?)", people)
        goods = [(id_, *product) for id_, product in enumerate(PRODUCTS)]
        shop.executemany("INSERT INTO products VALUES (?, ?, ?)", goods)
    for day in range(DAYS):
        open_for_a_day(OPENED + timedelta(days=day))


def next_day() -> None:
    """Add a day after the last one, on which the first open order is paid."""
    with closing(sqlite3.connect(DATABASE)) as shop, shop:
        ((last,),) = shop.execute("SELECT max(visited_at) FROM visits").fetchall()
        day = datetime.fromisoformat(last).replace(hour=OPENED.hour) + timedelta(days=1)
        shop.execute(
            "UPDATE orders SET status = 'paid', updated_at = ? WHERE id = "
            "(SELECT min(id) FROM orders WHERE status = 'open')",
            (str(day),),
        )
    open_for_a_day(day)


def make_mistake() -> None:
    """Add an order of nothing, as if somebody had pressed the wrong button."""
    with closing(sqlite3.connect(DATABASE)) as shop, shop:
        shop.execute(
            "INSERT INTO orders SELECT max(id) + 1, 0, 0, 0, 'open', max(updated_at) FROM orders"
        )


def correct_mistake() -> None:
    """Have the customer of that order buy one of it after all."""
    with closing(sqlite3.connect(DATABASE)) as shop, shop:
        shop.execute("UPDATE orders SET quantity = 1 WHERE quantity = 0")


def open_for_a_day(day: datetime) -> None:
    """Let customers come: each visit is an hour after the other, and every second one buys."""
    with closing(sqlite3.connect(DATABASE)) as shop, shop:
        ((visits,),) = shop.execute("SELECT count(*) FROM visits").fetchall()
        for id_ in range(visits, visits + VISITS_A_DAY):
            customer = id_ % len(CUSTOMERS)
            moment = str(day + timedelta(hours=id_ - visits))
            shop.execute("INSERT INTO visits VALUES (?, ?, ?)", (id_, customer, moment))
            if id_ % 2 == 0:
                status = "open" if id_ % 4 == 0 else "paid"
                bought = (id_, customer, id_ % len(PRODUCTS), 1 + id_ % 3, status, moment)
                shop.execute("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?)", bought)
    ticket = {"id": visits, "customer_id": visits % 3, "text": "too dear", "opened_at": str(day)}
    with TICKETS.open("a", encoding="utf-8") as file:
        file.write(f"{json.dumps(ticket)}\n")


WORDS = {"next-day": next_day, "mistake": make_mistake, "correction": correct_mistake}

if __name__ == "__main__":
    what = WORDS[sys.argv[1]] if len(sys.argv) > 1 else make_shop
    what()
