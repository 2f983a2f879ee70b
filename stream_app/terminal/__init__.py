"""Output for people in a terminal: numbers, times, flags, tables, progress."""
