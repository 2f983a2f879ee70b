"""Everything that runs on one machine: embedded servers, replay, the demo and the benchmark."""
