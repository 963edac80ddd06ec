from etl_assets.caches.colab import get_colab_cache

colab_cache = get_colab_cache()
custom_cache = get_colab_cache(
    cache_name="my_custom_cache",
    sub_dir="Airbyte/custom_cache",
    drive_name="My Company Drive",
)
