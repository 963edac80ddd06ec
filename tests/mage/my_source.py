"""The source of Mage's own example, as it stands but for the package it is imported from."""

from etl_assets.sources.base import Source, main


class MySource(Source):
    def load_data(self, stream, bookmarks=None, query=None, **kwargs):
        yield [{"id": 1, "name": "test"}]

    def test_connection(self):
        # Validate we can reach the data source
        pass


if __name__ == "__main__":
    main(MySource)
