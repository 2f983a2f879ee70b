"""Pure logic: no I/O, no clock, no logging, no await, no randomness. Time is passed in as an argument."""
