"""Kafka's default partitioner: it puts every key where Kafka's own clients put it."""

from aiokafka.partitioner import murmur2
from hypothesis import given
from hypothesis import strategies as st

from stream_app.core.events.murmur2 import partitions_of


@given(st.lists(st.binary(max_size=40)), st.integers(1, 1000))
def test_every_key_is_placed_as_a_client_places_it(keys: list[bytes], partitions: int) -> None:
    expected = [(murmur2(key) & 0x7FFFFFFF) % partitions for key in keys]
    assert partitions_of(keys, partitions).tolist() == expected


def test_the_java_client_agrees() -> None:
    """Hashes from Kafka's own UtilsTest.testMurmur2."""
    hashes = {
        b"21": -973932308,
        b"foobar": -790332482,
        b"a-little-bit-long-string": -985981536,
        b"a-little-bit-longer-string": -1486304829,
        b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971,
        b"abc": 479470107,
    }
    most = 0x7FFFFFFF
    assert partitions_of(list(hashes), most).tolist() == [(value & most) % most for value in hashes.values()]
