"""What becomes of each value on its way into a column, and whether it comes back."""
