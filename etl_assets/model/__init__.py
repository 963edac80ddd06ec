"""The words of the house: streams, batches, values, bookmarks, loads. They know nothing else."""
