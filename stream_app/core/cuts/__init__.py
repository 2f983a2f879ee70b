"""Histograms, the 80 % cut, cuts across partitions, and how they moved."""
