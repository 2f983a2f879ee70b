"""What a demo with employees reads of everything that is said, judges, and prints."""
