"""`stream-app erase`: when it refuses to begin, and when workers refuse to run."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from kafka import KafkaProducer

from stream_app.cli import main
from stream_app.core.privacy import erasures
from stream_app.core.privacy.pseudonyms import PersonHashes
from stream_app.engine.liveness.exit_codes import Exit
from stream_app.kafka import topics
from stream_app.settings import NAMES, Settings, SettingsError, environment_name, load
from tests.servers.erasure.traces import records_of
from tests.servers.tracker import Follower, Tracker, following, tracker, variables
from tests.waiting import eventually

KEY, OTHER_KEY = "a secret of sixteen or more", "another secret of sixteen"
WAIT_S = 40.0


def erase(environment: dict[str, str], *arguments: str, stdin: str = "") -> Result:
    cleared: dict[str, str | None] = {environment_name(name): None for name in NAMES}
    return CliRunner().invoke(main, ["erase", *arguments], input=stdin, env={**cleared, **environment})


@pytest.mark.parametrize(
    ("arguments", "stdin", "says"),
    [
        (("",), "", "'USER': it has 0 characters, and an id has 1 to 256"),
        (("ann", "--wait", "soon"), "", "'soon' is not a duration"),
        ((), "", "Missing argument 'USER'"),
    ],
)
def test_an_invalid_user_is_refused(arguments: tuple[str, ...], stdin: str, says: str) -> None:
    result = erase({}, *arguments, stdin=stdin)
    assert result.exit_code == 2
    assert says in result.stderr


@pytest.mark.parametrize("command", ["erase", "opt-out", "person"])
@pytest.mark.parametrize(
    ("argument", "stdin", "length"), [("x" * 257, "", 257), ("-", "\n", 0), ("-", "x" * 257 + "\nann\n", 257)]
)
def test_all_commands_about_a_person_read_the_id_alike(command: str, argument: str, stdin: str, length: int) -> None:
    result = CliRunner().invoke(main, [command, argument], input=stdin)
    assert result.exit_code == 2
    assert f"'USER': it has {length} characters" in result.stderr


def test_erase_asks_before_it_begins() -> None:
    result = erase({}, "ann", stdin="n\n")
    assert result.exit_code == 1
    assert "cannot be undone" in result.stderr


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"STREAM_APP_PERSON_KEY": "too short"}, "person_key has 9 characters, fewer than 16"),
        ({"STREAM_APP_PSEUDONYMS": "true"}, "set person_key too"),
        ({"STREAM_APP_PSEUDONYMS": "perhaps", "STREAM_APP_PERSON_KEY": KEY}, "STREAM_APP_PSEUDONYMS='perhaps'"),
    ],
)
def test_settings_that_keep_no_secret_are_refused(given: dict[str, str], says: str) -> None:
    with pytest.raises(SettingsError, match=says):
        load(given)


def test_pseudonyms_are_off_unless_asked_for() -> None:
    assert not Settings().pseudonyms
    assert load({"STREAM_APP_PSEUDONYMS": "true", "STREAM_APP_PERSON_KEY": KEY}).pseudonyms


@pytest.mark.timeout(90)
def test_without_a_key_or_with_another_than_the_workers_nothing_is_written(brokers: str) -> None:
    environment = variables(brokers, "erase-keys", person_key=KEY)
    settings = load(environment)
    topics.create(settings)
    publish(settings, erasures.check(PersonHashes(OTHER_KEY)))
    for key, says in (("", "STREAM_APP_PERSON_KEY is empty"), (KEY, "STREAM_APP_PERSON_KEY is not the key")):
        result = erase({**environment, "STREAM_APP_PERSON_KEY": key}, "ann", "--yes")
        assert result.exit_code == 1
        assert result.stderr.startswith("Error: ")
        assert says in result.stderr
    assert published_keys(settings) == [erasures.CHECK_KEY]


@pytest.mark.timeout(90)
def test_a_missing_topic_is_reported(brokers: str) -> None:
    result = erase(variables(brokers, "erase-nowhere", person_key=KEY), "ann", "--yes")
    assert result.exit_code == 1
    assert "create it with `stream-app topics create`" in result.stderr


@pytest.mark.timeout(120)
def test_workers_without_the_key_are_not_ended_by_an_erasure_but_named_by_the_command(
    brokers: str, tmp_path: Path
) -> None:
    environment = variables(brokers, "erase-keyless", partitions="2")
    with tracker(environment, tmp_path, workers=1) as run, following(run, run.settings.curves_topic) as follower:
        follower.until(lambda seen: len(seen.statuses) == 2, "both partitions", WAIT_S)
        result = erase({**environment, "STREAM_APP_PERSON_KEY": KEY}, "ann", "--yes")
        assert result.exit_code == 1
        assert "the workers have not run with STREAM_APP_PERSON_KEY yet" in result.stderr
        assert published_keys(run.settings) == []
        assert run.workers[0].process.poll() is None


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("key", "says"), [("", "STREAM_APP_PERSON_KEY is empty"), (OTHER_KEY, "is not the key")])
def test_a_worker_without_the_key_of_the_others_ends_with_a_line_that_says_so(
    brokers: str, tmp_path: Path, key: str, says: str
) -> None:
    environment = variables(brokers, f"erase-refused-{len(key)}", partitions="2", person_key=key)
    with tracker(environment, tmp_path, workers=0) as run:
        publish(run.settings, erasures.check(PersonHashes(KEY)))
        refused = run.start()
        assert eventually(lambda: refused.process.poll() is not None, WAIT_S)
        assert refused.process.returncode == Exit.REFUSED
        assert says in refused.said()
        assert "Traceback" not in refused.said()
        assert "took over" not in refused.said()


@pytest.mark.timeout(120)
def test_a_worker_with_a_key_lets_the_others_see_which(brokers: str, tmp_path: Path) -> None:
    environment = variables(brokers, "erase-introduced", partitions="2", person_key=KEY)
    with tracker(environment, tmp_path, workers=1) as run, following(run, run.settings.erasures_topic) as follower:
        check_key_was_published(run, follower)
        assert KEY not in run.workers[0].said()


def check_key_was_published(run: Tracker, follower: Follower) -> None:
    topic = run.settings.erasures_topic
    seen = follower.until(lambda seen: bool(seen.records.get(topic)), "the check of the key", WAIT_S)
    assert [(record.key, record.value) for record in seen.records[topic]] == [erasures.check(PersonHashes(KEY))]


def publish(settings: Settings, *records: erasures.ErasureRecord) -> None:
    producer = KafkaProducer(bootstrap_servers=settings.brokers)
    for key, value in records:
        producer.send(settings.erasures_topic, value, key, partition=0).get(WAIT_S)
    producer.close()


def published_keys(settings: Settings) -> list[bytes]:
    return [record.key for record in records_of(settings, settings.erasures_topic)]
