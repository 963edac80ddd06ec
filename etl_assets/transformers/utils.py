"""`mage_integrations.transformers.utils`."""

from etl_assets.mage.inference import (
    INVALID_DATA_TYPES,
    convert_data_type,
    infer_dtypes,
    write_parquet_file,
)

__all__ = ["INVALID_DATA_TYPES", "convert_data_type", "infer_dtypes", "write_parquet_file"]
