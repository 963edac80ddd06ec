"""The destination of Mage's own example, as it stands but for the package it is imported from."""

import psycopg2

from etl_assets.destinations.base import Destination


class PostgresDestination(Destination):
    def test_connection(self):
        self.connection = psycopg2.connect(**self.config)

    def export_batch_data(self, record_data, stream, tags=None):
        """Write batch of records to PostgreSQL."""
        records = [rd["record"] for rd in record_data]
        columns = records[0].keys()
        # Build INSERT statement
        placeholders = ", ".join(["%s"] * len(columns))
        cols = ", ".join(columns)
        sql = f"INSERT INTO {stream} ({cols}) VALUES ({placeholders})"
        # Execute batch insert
        with self.connection.cursor() as cursor:
            for record in records:
                cursor.execute(sql, tuple(record[c] for c in columns))
            self.connection.commit()
