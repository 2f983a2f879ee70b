"""Pure: no I/O, no clock, no logging, no await, no randomness. Time is an argument."""
