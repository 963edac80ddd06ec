"""Singer's messages and documents."""
