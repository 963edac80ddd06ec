"""`get_colab_cache`, where PyAirbyte's documentation imports it from."""

from etl_assets.caches.util import get_colab_cache

__all__ = ["get_colab_cache"]
