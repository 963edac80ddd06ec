"""Destinations: one module per family, over the hooks of `base`."""
