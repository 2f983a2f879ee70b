"""The demo: embedded servers, a generated stream, its progress and its result."""
