"""Who owns which partition: rebalance, fencing, topic identity."""
