"""The checks behind `stream-app doctor`, one file per thing that is checked."""
