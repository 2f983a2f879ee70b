"""The erasure of a person: finding their records, and removing them."""
