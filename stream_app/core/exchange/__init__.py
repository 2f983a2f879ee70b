"""The exchange: what partitions send to the homes of scopes, what homes put together, and what all workers follow."""
