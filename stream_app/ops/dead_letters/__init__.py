"""Dead letters: which there are, and replaying them."""
