"""The types of a DataFrame's columns, under the names connectors written for Mage import."""

from typing import TYPE_CHECKING

from etl_assets.sources.constants import COLUMN_TYPE_NUMBER, COLUMN_TYPE_STRING, COLUMN_TYPES

if TYPE_CHECKING:
    import pandas as pd

INVALID_DATA_TYPES = ["empty", "mixed"]


def infer_dtypes(df: "pd.DataFrame") -> dict[str, str]:
    """Return pandas' word for the values of each column, such as `integer` or `string`.

    Missing values are not looked at.
    """
    from pandas.api.types import infer_dtype

    return {column: infer_dtype(df[column], skipna=True) for column in df.columns}


def convert_data_type(v: str) -> str:
    """Return the JSON type of one of these words; a string where it has none."""
    if v == "floating":
        return COLUMN_TYPE_NUMBER
    return v if v in COLUMN_TYPES else COLUMN_TYPE_STRING


def write_parquet_file(file_path: str, df: "pd.DataFrame") -> None:
    """Write a DataFrame as Parquet; a column whose values are of many types becomes text."""
    import pyarrow as pa

    written = df.copy()
    for column in written.columns:
        try:
            pa.Array.from_pandas(written[column])
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            written[column] = written[column].map(str, na_action="ignore")
    written.to_parquet(file_path)
