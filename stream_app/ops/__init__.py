"""What operators do: doctor, dead letters, erasure, audit, reset."""
