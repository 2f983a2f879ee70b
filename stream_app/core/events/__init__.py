"""What comes in: the schema of events, their credit, whether a record came in the partition of its user."""
