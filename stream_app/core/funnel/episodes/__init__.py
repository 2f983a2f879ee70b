"""Episodes: the order-free summary of events by key, and what later events change in it."""
