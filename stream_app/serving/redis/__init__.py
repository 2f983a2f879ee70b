"""The Redis board: what programs and people read of it, and how it is kept."""
