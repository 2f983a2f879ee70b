"""Sample messages and snapshots for the tests of what is served."""

from collections.abc import Sequence

from stream_app.core.messages import Cut, Flag, FlagType, Role
from stream_app.core.queries import TopUsers
from stream_app.serving.redis.layout import BoardSnapshot, PartitionBoard

DAY_MS = 86_400_000


def a_cut(topic: str = "tea", *, population: str = "all", k: int = 62, of_population: float | None = None) -> Cut:
    return Cut(
        topic=topic,
        population=population,
        role=Role.CONNECTOR,
        users=1000,
        total=50_000,
        k=k,
        threshold=120,
        ties=1,
        coverage=0.8003,
        percent_of_users=k / 10,
        percent_of_population=of_population,
        gini=0.91,
        diffuse=False,
        exact=True,
        flagged=3,
        emerging=1,
        share=0.8,
        window_start=0,
        window_end=DAY_MS,
        computed_at=DAY_MS + 5,
        settings_version="0123456789ab",
    )


def a_flag(
    user: str = "ann",
    topic: str = "tea",
    *,
    flag_id: str = "f1",
    flag_type: FlagType = FlagType.EMERGING,
    eta_s: float | None = 90.5,
) -> Flag:
    return Flag(
        flag_id=flag_id,
        type=flag_type,
        role=Role.CONNECTOR,
        topic=topic,
        population="all",
        user_id=user,
        value=90,
        threshold=120,
        share=0.0018,
        rank=80,
        short_rate=30.0,
        long_rate=2.5,
        rate_error=4.0,
        z=7.1,
        events=6.0,
        eta_s=eta_s,
        rule=3,
        window_start=0,
        window_end=DAY_MS,
        event_time=DAY_MS,
        detected_at=DAY_MS + 7,
        settings_version="0123456789ab",
    )


def a_top(rows: dict[str, int], topic: str = "tea") -> TopUsers:
    return TopUsers(topic, "all", Role.CONNECTOR, list(rows.items()))


def a_partition(
    rows: dict[str, int], *, partition: int = 0, topic: str = "tea", standings: Sequence[Flag] = ()
) -> PartitionBoard:
    return PartitionBoard(partition=partition, tops=[a_top(rows, topic)], standings=standings)


def a_snapshot(*partitions: PartitionBoard, full: bool = False, cuts: Sequence[Cut] = ()) -> BoardSnapshot:
    return BoardSnapshot(full=full, partitions=partitions, cuts=cuts)
