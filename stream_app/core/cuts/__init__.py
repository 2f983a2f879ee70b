"""Histograms of values, the 80 % cut, global cuts across partitions, and their history."""
