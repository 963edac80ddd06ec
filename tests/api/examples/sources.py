from etl_assets.sources import Source
