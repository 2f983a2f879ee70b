"""The erasure of a person: where something of them is, and removing it."""
