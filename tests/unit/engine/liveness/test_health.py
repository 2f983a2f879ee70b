"""Health: reports a source that lags without progress, and every step that does not end."""

from stream_app.engine.liveness.health import WorkerHealth

STALL_S = 30.0


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def new_health() -> tuple[WorkerHealth, Clock]:
    """Of a worker that has its partitions."""
    clock = Clock()
    health = WorkerHealth(STALL_S, clock)
    health.recovered = True
    return health, clock


def later(health: WorkerHealth, clock: Clock, seconds: float) -> None:
    """Time passes, Kafka answers, and the event loop stays alive."""
    clock.now_s += seconds
    health.tick(seconds)
    health.beat()


def test_lag_without_progress_is_a_stall() -> None:
    health, clock = new_health()
    health.observe("posts", 0, position=5, end=9)
    later(health, clock, STALL_S + 1)
    health.observe("posts", 0, position=5, end=9)
    live, details = health.live()
    assert not live
    assert details["stalled_s"] == {"posts-0": STALL_S + 1}


def test_lag_with_progress_is_none() -> None:
    health, clock = new_health()
    for position in range(5):
        health.observe("posts", 0, position=position, end=9)
        later(health, clock, STALL_S - 1)
    assert health.live()[0]


def test_a_source_that_is_read_to_its_end_may_rest() -> None:
    health, clock = new_health()
    for _ in range(5):
        health.observe("posts", 0, position=9, end=9)
        later(health, clock, STALL_S - 1)
    assert health.live()[0]


def test_the_time_of_a_stall_begins_with_the_first_record_to_read() -> None:
    health, clock = new_health()
    health.observe("posts", 0, position=9, end=9)
    later(health, clock, STALL_S - 1)
    health.observe("posts", 0, position=9, end=9)
    later(health, clock, STALL_S - 1)
    health.observe("posts", 0, position=9, end=10)
    assert health.live()[0]


def test_one_stalled_source_among_others_is_reported() -> None:
    health, clock = new_health()
    for seconds in (0, STALL_S + 1):
        later(health, clock, seconds)
        health.observe("posts", 0, position=1, end=9)
        health.observe("posts", 1, position=9, end=9)
    assert list(health.live()[1]["stalled_s"]) == ["posts-0"]


def test_health_says_for_how_long_a_source_has_stood_still() -> None:
    health, clock = new_health()
    stood = []
    for position in (1, 1, 2, 2):
        later(health, clock, 3)
        stood.append(health.observe("posts", 0, position, end=9))
    assert stood == [0, 3, 0, 3]


def test_an_event_loop_that_stands_still_is_a_stall() -> None:
    health, clock = new_health()
    health.observe("posts", 0, position=9, end=9)
    clock.now_s += STALL_S + 1
    assert not health.live()[0]


def test_no_time_passes_while_kafka_does_not_answer() -> None:
    health, clock = new_health()
    health.observe("posts", 0, position=5, end=9)
    with health.doing("commit"):
        clock.now_s += 10 * STALL_S
        health.beat()
        health.observe("posts", 0, position=5, end=9)
        assert health.live()[0]
        later(health, clock, STALL_S + 1)
        assert set(health.live()[1]["stalled_s"]) == {"posts-0", "commit"}


def test_a_step_that_does_not_end_is_a_stall() -> None:
    health, clock = new_health()
    with health.doing("commit"):
        later(health, clock, 2)
        with health.doing("commit"):
            later(health, clock, STALL_S - 1)
        assert health.live() == (False, {"stalled_s": {"commit": STALL_S + 1}, "round_age_s": 0.0})
    assert health.live()[0]


def test_a_recovery_may_take_long_while_it_makes_progress() -> None:
    health, clock = new_health()
    health.forget()
    for remaining in (300, 200, 100):
        health.observe_recovery(remaining)
        later(health, clock, STALL_S - 1)
        assert health.live()[0]
    later(health, clock, STALL_S)
    health.observe_recovery(100)
    assert list(health.live()[1]["stalled_s"]) == ["recovery"]
    health.recovered = True
    assert health.live()[0]


def test_a_new_assignment_forgets_the_sources_of_the_old_one() -> None:
    health, clock = new_health()
    health.observe("posts", 0, position=5, end=9)
    health.forget()
    health.recovered = True
    later(health, clock, STALL_S + 1)
    assert health.live()[0]


def test_ready_means_recovered_and_caught_up() -> None:
    for recovered in (False, True):
        for caught_up in (False, True):
            health, _ = new_health()
            health.recovered, health.caught_up = recovered, caught_up
            assert health.ready()[0] is (recovered and caught_up)


def test_a_rebalance_makes_a_worker_unready_until_it_has_recovered() -> None:
    health, _ = new_health()
    health.recovered = health.caught_up = True
    health.forget()
    assert not health.ready()[0]
    health.recovered = True
    assert health.ready()[0]
