"""Import paths of destinations written for Mage."""
