"""The workers of a group: what each says of itself, whose settings count, and whose clock is right."""
