"""Mage's example of `write_records`, inside of the method it is documented for."""

from etl_assets.sources.base import Source, main


class Internal(Source):
    def load_data(self, stream, bookmarks=None, query=None, **kwargs):
        yield [{"id": 1}, {"id": 2}]
        yield [{"id": 3}]

    def sync_stream(self, stream, properties=None):
        bookmarks, query, count = None, None, 0
        # Internal usage within sync_stream:
        for rows in self.load_data(stream=stream, bookmarks=bookmarks, query=query):
            result = self.write_records(stream, rows)
            # result["final_record"] -> last emitted record
            # result["max_bookmark"] -> max bookmark values seen
            count += len(rows)
            self.logger.info(f"{result['final_record']} {result['max_bookmark']}")
        return count


if __name__ == "__main__":
    main(Internal)
