"""Pseudonyms, and the marks of people who were erased."""
