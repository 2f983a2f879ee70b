"""What each command must be allowed to do in Kafka and in Redis, and nothing more."""

from typing import NamedTuple

from stream_app.kafka.topics import changelogs_of, needed_topics_of, state_topics_of, topics_of
from stream_app.settings import Settings

TOPIC, GROUP = "topic", "group"


class Acl(NamedTuple):
    """One resource and the operations on it, as Kafka calls them. Read and Write include Describe."""

    resource: str
    name: str
    operations: tuple[str, ...]


def kafka_acls(settings: Settings) -> dict[str, list[Acl]]:
    """By command; a user who runs several needs those of each."""
    set_aside = [Acl(TOPIC, name, ("Read",)) for name in (settings.dead_letters_topic, settings.late_topic)]
    every = [topic.name for topic in topics_of(settings)]
    return {
        "worker": [*_worker(settings), Acl(GROUP, settings.app_id, ("Read",))],
        "worker --audit": [Acl(TOPIC, settings.audit_topic, ("Write", "DescribeConfigs"))],
        "topics create": [Acl(TOPIC, name, ("Create", "Describe")) for name in every],
        "topics check": [Acl(TOPIC, name, ("Describe",)) for name in every],
        "replay": [Acl(TOPIC, name, ("Write",)) for name in settings.source_topics],
        "watch": [Acl(TOPIC, settings.flags_topic, ("Read",))],
        "alerts run": _alerts(settings),
        "alerts dry-run": [Acl(TOPIC, settings.flags_topic, ("Read",))],
        "dead-letters list": set_aside,
        "dead-letters duplicates": [
            Acl(TOPIC, name, ("Read",)) for name in (*settings.input_topics, settings.curves_topic)
        ],
        "dead-letters replay": [
            *(acl._replace(operations=("Read", "Write")) for acl in set_aside),
            *(Acl(TOPIC, name, ("Write",)) for name in settings.source_topics),
        ],
        "doctor": _doctor(settings),
        "reset": _reset(settings),
        "erase": _erase(settings),
        "person": _person(settings),
        "opt-out": _opt_out(settings),
    }


def _worker(settings: Settings) -> list[Acl]:
    """It reads what comes in, writes what goes out, and does both with what it keeps or shows; it asks for configs."""
    read = {*settings.source_topics}
    write = {settings.dead_letters_topic, settings.late_topic}
    allowed = dict.fromkeys(read, ("Read",)) | dict.fromkeys(write, ("Write",))
    return [
        Acl(TOPIC, topic.name, (*allowed.get(topic.name, ("Read", "Write")), "DescribeConfigs"))
        for topic in needed_topics_of(settings)
    ]


def _alerts(settings: Settings) -> list[Acl]:
    """It reads flags, records the alerts it has sent, and writes what no sink accepted."""
    return [
        Acl(TOPIC, settings.flags_topic, ("Read",)),
        Acl(TOPIC, settings.alerts_topic, ("Read", "Write")),
        Acl(TOPIC, settings.undelivered_topic, ("Write",)),
        Acl(GROUP, settings.alerts_group, ("Read",)),
    ]


def _doctor(settings: Settings) -> list[Acl]:
    """It looks at everything, and reads a little of what it judges by its records."""
    read = {*settings.source_topics, settings.dead_letters_topic, settings.late_topic, settings.curves_topic}
    return [
        *(
            Acl(TOPIC, topic.name, ("Read" if topic.name in read else "Describe", "DescribeConfigs"))
            for topic in topics_of(settings)
        ),
        Acl(GROUP, settings.app_id, ("Describe",)),
    ]


def _reset(settings: Settings) -> list[Acl]:
    """It counts what is there, deletes the topics of the state, makes them anew, and writes where counting begins."""
    segments, _ = changelogs_of(settings)
    again = ("Create", "Delete", "DescribeConfigs", "Read")
    allowed: dict[str, tuple[str, ...]] = {topic.name: again for topic in state_topics_of(settings)}
    allowed |= dict.fromkeys(settings.source_topics, ("Read",)) | {segments: (*again, "Write")}
    return [
        *(Acl(TOPIC, topic.name, allowed.get(topic.name, ("Describe",))) for topic in needed_topics_of(settings)),
        Acl(GROUP, settings.app_id, ("Read", "Delete")),
    ]


def _erase(settings: Settings) -> list[Acl]:
    """It looks for a person in what the workers hold, and deletes records, of which it keeps those of others."""
    segments, standings = changelogs_of(settings)
    letters = (settings.dead_letters_topic, settings.late_topic)
    removed = (settings.flags_topic, settings.undelivered_topic, settings.credits_topic, *letters)
    allowed: dict[str, tuple[str, ...]] = dict.fromkeys((segments, standings, settings.curves_topic), ("Read",))
    allowed |= dict.fromkeys(removed, ("Read", "Write", "Delete"))
    allowed |= dict.fromkeys((settings.erasures_topic, settings.alerts_topic), ("Read", "Write"))
    return [Acl(TOPIC, topic.name, allowed.get(topic.name, ("Describe",))) for topic in topics_of(settings)]


def _person(settings: Settings) -> list[Acl]:
    """It reads every topic that may hold something of a person, and looks whether the others are there."""
    others = {settings.cuts_topic, settings.curves_topic, settings.additions_topic, settings.undelivered_topic}
    others |= {settings.credits_topic}
    return [Acl(TOPIC, topic.name, ("Describe" if topic.name in others else "Read",)) for topic in topics_of(settings)]


def _opt_out(settings: Settings) -> list[Acl]:
    """It writes the marks, and reads how far the workers are."""
    allowed = {settings.erasures_topic: ("Read", "Write"), settings.curves_topic: ("Read",)}
    return [Acl(TOPIC, topic.name, allowed.get(topic.name, ("Describe",))) for topic in topics_of(settings)]


_CONNECT = ("hello", "ping", "select")
_WRITE = ("set", "pexpire", "sscan", "sadd", "srem", "del", "hset", "xadd", "zadd", "zunionstore", "zremrangebyrank")
_SCRIPT = ("evalsha", "script|load")
_LOOK = ("scan", "zmscore", "sscan", "xrange", "hexists")
_REMOVE = ("del", "zrem", "srem", "xdel", "hdel")


def redis_commands() -> dict[str, tuple[str, ...]]:
    """Of Redis, by command of ours; on no other keys than those of `redis_keys`."""
    return {
        "worker": (*_CONNECT, *_WRITE, *_SCRIPT),
        "top": (*_CONNECT, "zrevrange", "hmget"),
        "erase": ("hello", "select", *_LOOK, *_REMOVE),
    }


def redis_keys(settings: Settings) -> str:
    """The keys of the board, as a pattern."""
    return f"{settings.redis_prefix}:*"
