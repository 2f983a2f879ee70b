"""The last flags of all workers, and where they are read."""
