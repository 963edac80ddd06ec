"""The one loop: the only place where data moves from a source to a destination."""
