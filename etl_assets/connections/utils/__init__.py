"""Mage's import path; the names are from `etl_assets.mage`."""
