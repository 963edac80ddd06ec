"""What the verbs of a script do: read, write, replay, and the names of stored states."""
