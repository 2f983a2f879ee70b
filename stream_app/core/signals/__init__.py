"""Signals of inflation: facts about people, with numbers and without a verdict, and what is left without them."""
