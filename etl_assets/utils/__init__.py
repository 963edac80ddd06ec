"""Functions under the names sources written for Mage import."""
