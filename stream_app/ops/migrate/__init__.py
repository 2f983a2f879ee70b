"""Migration to another number of partitions: a second tracker counts a copy of the inputs, and takes over.

The problem: a user's records and counts are in the partition that the hash of the user gives, so another number of
partitions moves nearly every user. Kafka can add partitions to a topic but does not move what it holds, and ledgers
cannot be split where they are: old records of a user would be in one partition and new ones in another.

The solution: topics of their own and an app id of their own for the new number, beside the old ones,
which are only read.

    influence.posts    (8)  ──copied, in the order of time──▶  influence.posts.p12   (12) ─▶ workers of influence-p12
    influence.shares   (8)  ──────────────────────────────▶  influence.shares.p12  (12) ─┘        │ count
    influence.curves        ◀───────── cuts must be equal ─────────▶  influence.curves.p12 ◀──────┘
    influence.standings (8) ──copied, by user──▶  influence.standings.p12 (12)

Invariants:
- What the old tracker set aside stays set aside: records with a dead letter, and those in a partition that is not their
  key's, are not copied. An event ahead of the clock then is not ahead of it now.
- Every copy names its origin in a header, so that a copy that was killed goes on where it was, without repeats.
- The workers that count the copy flag nobody. Standings depend on when they were evaluated, so they are not computed
  again but copied, last, when the old workers have stopped and the counts were found equal.

Change together: `target` (names), `input_copy` (what is copied), `equality` (what must be equal), docs/operate.md.
"""
