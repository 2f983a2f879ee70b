"""Pseudonyms of users, and the marks of users who were erased."""
