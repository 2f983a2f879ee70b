"""What a worker has written about scopes at home here is written again where the topic says something else for long."""

from stream_app.core.exchange.written_records import WrittenRecords
from stream_app.core.state.scopes import ScopeName


def overwritten(written: WrittenRecords, now_s: float) -> list[ScopeName]:
    """What is written again, which it is at once."""
    found = written.overwritten(now_s, lambda _scope: True, 100)
    for scope in found:
        written.write(scope, b"mine")
    return found


TEA, PHONE = ScopeName("all", "tea"), ScopeName("all", "phone")


def test_own_writes_that_come_back_late_are_nobody_elses() -> None:
    written = WrittenRecords()
    for number in range(30):
        written.write(TEA, b"%d" % number)
        written.read({TEA: b"%d" % (number - 1)}, float(number))
        assert overwritten(written, float(number)) == []
    written.read({TEA: b"29"}, 30.0)
    assert overwritten(written, 100.0) == []


def test_what_somebody_else_wrote_is_found_once_own_writes_must_have_come_back() -> None:
    written = WrittenRecords()
    written.write(TEA, b"mine")
    written.read({TEA: b"stale", PHONE: b"forged"}, 0.0)
    assert overwritten(written, 9.0) == []
    assert overwritten(written, 11.0) == [TEA, PHONE]
    assert overwritten(written, 30.0) == []


def test_a_record_that_somebody_else_deleted_is_found_and_one_deleted_here_is_not() -> None:
    written = WrittenRecords()
    written.write(TEA, b"mine")
    written.write(PHONE, b"mine")
    written.write(PHONE, None)
    written.read({TEA: None, PHONE: None}, 0.0)
    assert overwritten(written, 11.0) == [TEA]


def test_scopes_that_have_left_are_forgotten() -> None:
    written = WrittenRecords()
    written.write(TEA, b"mine")
    written.read({TEA: b"other", PHONE: b"other"}, 0.0)
    written.forget(lambda scope: scope == TEA)
    assert overwritten(written, 11.0) == [PHONE]
    written.read({TEA: None}, 11.0)
    assert overwritten(written, 50.0) == []


def test_records_of_homes_that_are_not_ready_and_too_many_records_wait() -> None:
    written = WrittenRecords()
    written.read({TEA: b"other", PHONE: b"other"}, 0.0)
    assert written.overwritten(11.0, lambda scope: scope == PHONE, 10) == [PHONE]
    assert written.overwritten(11.0, lambda _scope: True, 1) == [TEA]
    written.write(TEA, b"mine")
    assert written.overwritten(11.0, lambda _scope: True, 10) == [PHONE]
