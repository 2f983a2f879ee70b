"""Histograms of values, the 80 % cut, its publication and its history."""
