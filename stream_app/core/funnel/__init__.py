"""The endless funnel: who comes, who brings them, who comes back; and what others' shares do for an author.

The problem: an entry is an event of a person with none of theirs in the scope in the gap A before. So whether an event
is one depends on all earlier events of the person, and events come in any order. What is decided about one person is
worth something to another, whose counts are in another partition.

The invariant: the *episodes* of a person in a scope, the maximal runs of events with gaps below A, do not depend on the
order of events, nor on repeats, and are all that later events have to know. An episode is the time, order and recruiter
of its first event, and the time of its last: a new event begins, extends or unites episodes. They are session windows.

    A = 7 d     ── day 1 ──────── 5 ─────────────── 15 ──      two episodes, entries on day 1 (new) and 15 (re-entered)
    late: 10    ── day 1 ──────── 5 ─────10──────── 15 ──      one; the entry on day 15 is taken back

1. Pending: events of panes that are not sealed wait, so that disorder within a pane costs no correction.
2. Decide: when a pane is sealed its events are added to the episodes. Entries that appear become credits of +1 recruit
   to the person whom the entry names, entries that vanish −1. Counts by pane and scope follow in the same way.
3. Credits travel to the partition of the person credited and are added up there (`credited_people`). Their ids derive
   from person, scope and entry. Without retractions an entry appears once and vanishes once; each replacement of the
   events of a key counts up its revision, which is in the ids too. So a repeat after a crash has the same id, and no
   other credit has. `Decided` must be durable before its credits are sent.

Amplified is the same with another key, (scope, sharer, post, author): the first share of an episode counts, with its
impressions. The gap is `share_gap_ms`: with the length of the window, "earliest" means among those that the window saw.

What is kept: some 50 bytes for a person and scope, as 64-bit hashes under a secret, until A after the last event and
the end of the window: no event that is not late can change more. Names are kept only of people who were credited, and
of those whom an event of the window names. Then 8 bytes of key stay for `remember_ms` more, so that somebody who comes
back is not taken for new. After that they are: "new" is new to what is remembered. In the last eighth of that time it
depends on when it is decided. All else depends on nothing but the set of events that were not late.

What is taken back: an episode does not say what it is without one of its events. So the events of the window are kept
beside (`stored/event_history`), and those that are left of a person replace what was decided of their keys.

Ties: events of one person at the same time are ordered by event id. Ids that are numbers come in the order of their
text if they are equally long or have up to 17 digits, others by four bytes of text and 30 bits of hash. The keys of two
people collide once in 2^64 pairs.
"""
