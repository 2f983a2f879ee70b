"""Read-only queries: users of a scope, top-k, counts of a user by pane."""
