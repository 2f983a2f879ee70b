"""deploy/compose.yaml: what docker compose makes of it is hardened, pinned, and says what the code does."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest

from stream_app.alerts.config import load as read_alerts
from stream_app.engine.liveness import watchdog
from stream_app.settings import Settings, load
from tests.servers.apache import POM
from tests.unit.deploy.commands import is_command
from tests.unit.deploy.compose import COMPOSE_FILE, OURS, SECRET, configured, read, services, variables_of, writable
from tests.unit.deploy.dockerfile import DOCKERFILE, ROOT

ALL = pytest.mark.parametrize("name", services())


def is_hardened(service: dict[str, Any]) -> bool:
    """Whether it can neither gain rights nor write where it should not."""
    return (
        service.get("read_only") is True
        and service.get("cap_drop") == ["ALL"]
        and service.get("security_opt") == ["no-new-privileges:true"]
        and not {"privileged", "cap_add", "network_mode", "pid", "ipc", "devices", "userns_mode"} & {*service}
    )


@ALL
def test_every_service_is_hardened_and_started_again(name: str) -> None:
    assert is_hardened(services()[name])
    assert services()[name]["restart"] in {"unless-stopped", "on-failure:3"}


def test_a_service_that_is_not_hardened_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "compose.yaml"
    bad.write_text(COMPOSE_FILE.read_text().replace("read_only: true", "read_only: false"))
    assert not any(is_hardened(service) for service in read(bad)["services"].values())


def test_a_field_that_docker_compose_does_not_know_is_found(tmp_path: Path) -> None:
    bad = tmp_path / "compose.yaml"
    bad.write_text(COMPOSE_FILE.read_text().replace("read_only: true", "readonly: true"))
    with pytest.raises(AssertionError, match="readonly"):
        read(bad)


@ALL
def test_every_image_is_pinned_to_a_release(name: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+(-alpine)?", services()[name]["image"])


def test_kafka_is_the_release_that_the_proofs_run_on() -> None:
    version = ET.parse(POM).find(".//{*}dependency/{*}version")  # noqa: S314 - our own file
    assert version is not None
    assert services()["kafka"]["image"] == f"apache/kafka:{version.text}"


@ALL
def test_nothing_listens_on_other_addresses_than_this_machine(name: str) -> None:
    assert {port["host_ip"] for port in services()[name].get("ports", ())} <= {"127.0.0.1"}


def test_no_port_of_this_machine_is_asked_for_twice() -> None:
    published = [port["published"] for service in services().values() for port in service.get("ports", ())]
    assert len(published) == len({*published})


@ALL
def test_data_is_in_a_named_volume_and_configuration_is_mounted_read_only(name: str) -> None:
    for mount in services()[name].get("volumes", ()):
        if mount["type"] == "volume":
            assert mount["source"] in configured()["volumes"]
        else:
            assert mount["read_only"]
            assert Path(mount["source"]).is_relative_to(ROOT / "deploy")


def test_every_volume_is_used() -> None:
    mounts = [mount for service in services().values() for mount in service.get("volumes", ())]
    assert {mount["source"] for mount in mounts if mount["type"] == "volume"} == {*configured()["volumes"]}


@ALL
def test_every_service_that_stays_has_a_health_check(name: str) -> None:
    check = services()[name].get("healthcheck")
    if name == "topics":
        assert check == {"disable": True}
    elif name == "alerts":
        assert check["test"][-1] == str(Settings().alerts_http_port)  # the image would ask for that of a worker
    elif name in OURS:
        assert check is None  # the image has it
    else:
        assert check["test"][0] == "CMD"


@pytest.mark.parametrize("name", OURS)
def test_our_services_run_a_command_with_settings_that_exist(name: str) -> None:
    assert is_command(services()[name]["command"])
    settings = load(variables_of(name))
    assert settings.brokers in services()["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    assert settings.redis_url.host == "valkey"
    assert settings.http_token.reveal() == (SECRET if name.startswith("worker") else "")
    assert "/tmp" in writable(name)  # noqa: S108 - the one in the container


def test_the_alerts_service_has_a_file_that_loads_and_listens_where_prometheus_scrapes() -> None:
    (mount,) = services()["alerts"]["volumes"]
    assert load(variables_of("alerts")).alerts_file == mount["target"]
    file = read_alerts(mount["source"])
    assert {sink.url.host for sink in file.sinks.values()} <= {*services()}
    assert [port["target"] for port in services()["alerts"]["ports"]] == [Settings().alerts_http_port]


def test_all_workers_have_the_same_settings_and_answer_to_one_name() -> None:
    workers = [services()[name] for name in OURS if name.startswith("worker")]
    assert len(workers) == 2
    for worker in workers:
        assert worker["environment"] == workers[0]["environment"]
        assert worker["networks"]["default"]["aliases"] == ["worker"]
        assert [port["target"] for port in worker["ports"]] == [Settings().http_port]


def test_the_token_is_a_file_that_git_ignores_and_prometheus_has_it_too() -> None:
    (secret,) = configured()["secrets"].values()
    path = Path(secret["file"]).relative_to(ROOT)
    assert f"/{path}" in (ROOT / ".gitignore").read_text().splitlines()
    assert f"> {path}" in (ROOT / "deploy" / "README.md").read_text()
    given = {name for name, service in services().items() if service.get("secrets")}
    assert given == {"worker-1", "worker-2", "prometheus"}


def test_workers_wait_for_the_topics_and_these_for_kafka() -> None:
    assert services()["topics"]["depends_on"]["kafka"]["condition"] == "service_healthy"
    for name in OURS[1:]:
        assert services()[name]["depends_on"]["topics"]["condition"] == "service_completed_successfully"


def test_the_topics_build_the_image_that_the_workers_run() -> None:
    built = [(name, service) for name, service in services().items() if "build" in service]
    assert [name for name, _ in built] == ["topics"]
    build = built[0][1]["build"]
    assert Path(build["context"]) == ROOT
    assert Path(build["context"], build["dockerfile"]) == DOCKERFILE
    assert {services()[name]["image"] for name in OURS} == {built[0][1]["image"]}


def test_commands_on_this_machine_find_the_servers_without_any_setting() -> None:
    defaults = Settings()
    assert f"HOST://{defaults.brokers}" in services()["kafka"]["environment"]["KAFKA_ADVERTISED_LISTENERS"]
    published = {f"{port['host_ip']}:{port['published']}" for s in services().values() for port in s.get("ports", ())}
    assert {defaults.brokers, "127.0.0.1:6379", f"127.0.0.1:{defaults.http_port}"} <= published


def test_a_worker_is_given_the_time_that_it_may_take_to_end() -> None:
    for name in OURS[1:]:
        assert float(services()[name]["stop_grace_period"].removesuffix("s")) > watchdog._END_WITHIN_S
