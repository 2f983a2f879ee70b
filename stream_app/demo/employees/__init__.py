"""A demo with employees: its settings, what it reads of all that is said, its verdict, and what it prints."""
