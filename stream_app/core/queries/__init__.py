"""Read-only questions about users: who leads a scope, one user, what somebody made in each pane."""
