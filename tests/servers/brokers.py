"""Real servers for the tests: which Kafka a test asks for."""

import pytest

EMBEDDED, APACHE = "embedded", "apache"

BOTH_BROKERS = pytest.mark.parametrize("brokers", [EMBEDDED, APACHE], indirect=True)
"""The test runs on the embedded Kafka and on Apache Kafka."""
