"""How far a stream was read: replication keys, the bookmark they make, and the rows at it."""
