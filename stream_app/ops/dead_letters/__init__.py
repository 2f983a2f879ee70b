"""Dead letters and late events: scanning them, and replaying them."""
