"""Flags: the numbered standing rules, the pace of users, and the evaluation."""
