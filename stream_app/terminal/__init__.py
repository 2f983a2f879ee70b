"""What people read in a terminal: numbers, times, tables, progress."""
