"""JSON read exactly: lines decoded into columns, no digit lost, no key that comes twice."""
