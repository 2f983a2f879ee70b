"""Users: those of this worker, those of its peers, and the events behind a value."""
