"""Seeds that once found a bug, each with what it found. They are played first of all, forever."""

PINNED = {
    2: "a tracker without news never came to rest: every sweep wrote a delta that was the next piece of garbage",
    345: "a worker that its group had given up began an epoch and took a partition from the new owner",
    1321: "a flush after a lost write returned, and let go of what the lost write was to replace",
    163: "a new owner went on to the step of partition 0, over the end of the one that another one began with",
    172: "the same, with the steps of more workers: each waited for what the other passed over",
    1034: "judged before a slow worker had its new assignment: until then it keeps the partitions of the old one",
}
