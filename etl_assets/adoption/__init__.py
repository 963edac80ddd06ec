"""Going on where another tool ended: what its state says, and what its tables hold."""
