"""What all tests share."""

from hypothesis import settings

# No deadline: the machines that run this are busy, and a slow example is no wrong one.
settings.register_profile("etl_assets", deadline=None, print_blob=True)
settings.load_profile("etl_assets")
