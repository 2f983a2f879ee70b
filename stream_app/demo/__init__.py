"""The demo: embedded servers, a generated stream, and what is seen of it."""
