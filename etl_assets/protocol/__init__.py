"""The words that sources and destinations share: streams, batches, bookmarks, messages. They know nothing else."""
