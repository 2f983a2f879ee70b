"""Seeds that once found a bug, each with what it found. They are played first of all, forever."""

PINNED = {
    2: "a tracker without news never came to rest: every sweep wrote a delta that was the next piece of garbage",
}
