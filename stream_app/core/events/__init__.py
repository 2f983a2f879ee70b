"""Incoming events: schema, decoding, credit, partition check, dead letters."""
