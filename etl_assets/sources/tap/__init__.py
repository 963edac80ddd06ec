"""A source of ours run as a program: Mage's modes, Airbyte's commands, and what they print."""
