"""The manifests for Kubernetes: valid, of the restricted profile, and they say what the code does."""

import copy
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from prometheus_client import CollectorRegistry

from stream_app import __version__
from stream_app.engine.liveness import watchdog
from stream_app.engine.liveness.health import WorkerHealth
from stream_app.ops.audit.addresses import addresses
from stream_app.serving.http.auth import Access
from stream_app.serving.http.server import HttpServer
from stream_app.settings import FILE_SUFFIX, SECRETS, Settings, environment_name, load
from tests.unit.deploy.commands import is_command
from tests.unit.deploy.dockerfile import ROOT
from tests.unit.deploy.image import USER
from tests.unit.deploy.manifests import (
    ALERTS,
    BASE,
    FOLDER,
    KEDA,
    Manifest,
    alerts,
    base,
    documents,
    kustomization,
    one,
    pods,
    settings,
)
from tests.unit.deploy.restricted import violations

SECRET_FOLDER = "/run/secrets/influence"
SECRET_FILES = {
    "kafka-password": "kafka",
    "redis-url": "rediss://u:p@redis:6380/0",
    "person-key": "k" * 16,
    "http-token": "t" * 16,
    "ca.pem": "",
}
OLDEST, NEWEST = "1.31", "1.37"
PODS = dict(pods())
EVERY_POD = pytest.mark.parametrize("name", PODS)


def of_worker() -> Manifest:
    (container,) = PODS["worker"]["containers"]
    found: Manifest = container
    return found


def loaded(tmp_path: Path) -> Settings:
    """The settings that a pod starts with, its secret mounted in `tmp_path`."""
    for name, text in SECRET_FILES.items():
        tmp_path.joinpath(name).write_text(text + "\n")
    return load({name: text.replace(SECRET_FOLDER, str(tmp_path)) for name, text in settings().items()})


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
@pytest.mark.parametrize("manifest", [*base(), *alerts()], ids=lambda found: found["kind"])
def test_a_manifest_is_what_kubernetes_takes(manifest: Manifest, version: str) -> None:
    kubernetes_validate.validate(manifest, version, strict=True)


def test_a_field_that_kubernetes_does_not_know_is_found() -> None:
    bad = copy.deepcopy(one("Deployment"))
    bad["spec"]["template"]["spec"]["containers"][0]["livenessprobe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError, match="livenessprobe"):
        kubernetes_validate.validate(bad, NEWEST, strict=True)


def test_every_manifest_is_applied() -> None:
    for folder in (BASE, KEDA, ALERTS):
        named = {path for path in kustomization(folder)["resources"] if not path.startswith("..")}
        named |= {
            name for made in kustomization(folder).get("configMapGenerator", ()) for name in made.get("files", ())
        }
        assert named == {path.name for path in folder.glob("*.yaml")} - {"kustomization.yaml"}


@pytest.mark.parametrize("folder", [BASE, KEDA], ids=lambda folder: folder.name)
def test_kustomize_makes_one_namespace_with_settings_whose_change_restarts_the_pods(folder: Path) -> None:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    done = subprocess.run([kubectl, "kustomize", folder], capture_output=True, text=True, timeout=30, check=True)
    made: list[Manifest] = list(yaml.safe_load_all(done.stdout))
    assert {each["metadata"].get("namespace", "influence") for each in made} == {"influence"}
    (config_map,) = [each for each in made if each["kind"] == "ConfigMap"]
    assert config_map["data"] == settings()
    assert config_map["metadata"]["name"].startswith("settings-")
    workloads = {each["kind"]: each["spec"] for each in made if each["kind"] in {"Deployment", "Job"}}
    for spec in workloads.values():
        (container,) = spec["template"]["spec"]["containers"]
        assert container["envFrom"] == [{"configMapRef": {"name": config_map["metadata"]["name"]}}]
        assert container["image"] == f"stream-app:{__version__}"
    assert ("replicas" in workloads["Deployment"]) == (folder == BASE)


def test_the_namespace_takes_none_but_restricted_pods() -> None:
    labels = one("Namespace", "influence")["metadata"]["labels"]
    modes = ("enforce", "audit", "warn")
    assert labels == {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes}
    assert kustomization(BASE)["namespace"] == kustomization(KEDA)["namespace"] == "influence"


@EVERY_POD
def test_a_pod_is_restricted(name: str) -> None:
    assert violations(PODS[name]) == []


BREAKS: dict[str, Callable[[Any], Any]] = {
    "hostNetwork": lambda pod: pod.update(hostNetwork=True),
    "volumes.hostPath": lambda pod: pod["volumes"].append({"name": "host", "hostPath": {"path": "/"}}),
    "runAsNonRoot": lambda pod: pod["securityContext"].pop("runAsNonRoot"),
    "runAsUser": lambda pod: pod["containers"][0]["securityContext"].update(runAsUser=0),
    "seccompProfile": lambda pod: pod["securityContext"]["seccompProfile"].update(type="Unconfined"),
    "allowPrivilegeEscalation": lambda pod: pod["containers"][0]["securityContext"].pop("allowPrivilegeEscalation"),
    "capabilities": lambda pod: pod["containers"][0]["securityContext"]["capabilities"].update(add=["NET_RAW"]),
    "privileged": lambda pod: pod["containers"][0]["securityContext"].update(privileged=True),
    "hostPort": lambda pod: pod["containers"][0].update(ports=[{"containerPort": 1, "hostPort": 1}]),
    "enableServiceLinks": lambda pod: pod.pop("enableServiceLinks"),
    "automountServiceAccountToken": lambda pod: pod.pop("automountServiceAccountToken"),
    "readOnlyRootFilesystem": lambda pod: pod["containers"][0]["securityContext"].pop("readOnlyRootFilesystem"),
    "resources": lambda pod: pod["containers"][0].pop("resources"),
}


@pytest.mark.parametrize("broken", BREAKS)
def test_a_pod_that_is_not_restricted_is_found(broken: str) -> None:
    pod = copy.deepcopy(PODS["worker"])
    BREAKS[broken](pod)
    assert violations(pod) == [broken]


@EVERY_POD
def test_a_pod_runs_a_command_of_the_image_as_its_user(name: str) -> None:
    (container,) = PODS[name]["containers"]
    assert container["image"] == "stream-app"
    assert is_command(container["args"])
    assert "command" not in container
    assert PODS[name]["securityContext"]["runAsUser"] == int(USER)
    assert kustomization(BASE)["images"] == [{"name": "stream-app", "newName": "stream-app", "newTag": __version__}]


def test_the_settings_load_and_keep_no_secret(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert {found.kafka_password.reveal(), found.person_key.reveal()} == {"kafka", "k" * 16}
    assert not {environment_name(name) for name in SECRETS} & {*settings()}


def test_every_file_that_the_settings_name_is_in_the_secret_and_every_one_of_the_secret_is_named() -> None:
    named = {Path(text) for name, text in settings().items() if name.endswith(FILE_SUFFIX)}
    assert named == {Path(SECRET_FOLDER, name) for name in SECRET_FILES}
    document = (ROOT / "deploy" / "README.md").read_text()
    assert all(f"`{name}`" in document for name in SECRET_FILES)
    assert "create secret generic influence --namespace influence --from-file=secrets/" in document
    for pod in PODS.values():
        (container,) = pod["containers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
        secrets = {volume["secret"]["secretName"]: volume["name"] for volume in pod["volumes"] if "secret" in volume}
        assert mounts[secrets["influence"]] == SECRET_FOLDER


def test_the_instances_of_alerts_find_their_file_and_its_secrets_and_serve_what_is_asked() -> None:
    (container,) = PODS["alerts"]["containers"]
    variables = {each["name"]: each["value"] for each in container["env"]}
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert load(variables).alerts_file == f"{mounts['file']}/alerts.yaml"
    (generated,) = kustomization(ALERTS)["configMapGenerator"]
    (volume,) = [volume for volume in PODS["alerts"]["volumes"] if "configMap" in volume]
    assert (volume["name"], volume["configMap"]["name"]) == ("file", generated["name"])
    text = (ALERTS / "alerts.yaml").read_text()
    named = re.findall(r"_file: (\S+)/([\w-]+)", text)
    assert {folder for folder, _ in named} == {mounts["sinks"]}
    document = (ROOT / "docs" / "alerts.md").read_text()
    assert all(f"`{name}`" in document for _, name in named)
    assert container["ports"] == [{"name": "http", "containerPort": Settings().alerts_http_port}]
    assert one("Deployment", "alerts")["spec"]["template"]["metadata"]["labels"].items() >= (
        one("PodMonitor", "alerts")["spec"]["selector"]["matchLabels"].items()
    )
    assert kustomization(ALERTS)["namespace"] == "influence"
    assert kustomization(ALERTS)["images"] == kustomization(BASE)["images"]


def test_the_startup_audit_finds_nothing_in_the_settings(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    assert found.production
    assert list(addresses(found)) == []


def test_only_prometheus_and_other_workers_come_in() -> None:
    (rule,) = one("NetworkPolicy", "stream-app")["spec"]["ingress"]
    assert rule["ports"] == [{"port": "http"}]
    assert [*rule["from"][0]] == ["namespaceSelector"]
    assert rule["from"][1:] == [{"podSelector": {}}]


def test_a_worker_advertises_the_address_of_its_pod() -> None:
    env = {each["name"]: each for each in of_worker()["env"]}
    assert env["POD_IP"]["valueFrom"] == {"fieldRef": {"fieldPath": "status.podIP"}}
    assert env["STREAM_APP_HTTP_ADVERTISED"]["value"] == f"$(POD_IP):{Settings().http_port}"


def test_the_network_policy_lets_workers_reach_kafka_and_redis(tmp_path: Path) -> None:
    found = loaded(tmp_path)
    rule, to_workers = one("NetworkPolicy", "stream-app")["spec"]["egress"]
    assert to_workers == {"to": [{"podSelector": {}}], "ports": [{"port": "http"}]}
    open_ports = {n for port in rule["ports"] for n in range(port["port"], port.get("endPort", port["port"]) + 1)}
    kafka = {int(server.rpartition(":")[2]) for server in found.brokers.split(",")}
    redis = int(found.redis_url.reveal().rpartition(":")[2].partition("/")[0])
    assert {53, redis, *kafka} <= open_ports


def test_the_probes_ask_what_a_worker_serves() -> None:
    routes = HttpServer(CollectorRegistry(), WorkerHealth(stall_s=1.0), Access(Settings()))._app.router.routes()
    served = {route.resource.canonical for route in routes if route.resource}
    probes = {name: of_worker()[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    paths = {name: broker_monitor["path"] for name, broker_monitor in probes.items()}
    assert paths == {"startup": "/livez", "liveness": "/livez", "readiness": "/readyz"}
    assert {*paths.values(), *(each["path"] for each in one("PodMonitor")["spec"]["podMetricsEndpoints"])} <= served
    (given,) = [each["value"] for each in of_worker()["env"] if each["name"] == "STREAM_APP_HTTP_PROBE_PORT"]
    ports = {each["name"]: each["containerPort"] for each in of_worker()["ports"]}
    assert ports == {"http": Settings().http_port, "probes": int(given)}
    assert {broker_monitor["port"] for broker_monitor in probes.values()} == {"probes"}


@pytest.mark.parametrize(("name", "job"), [("worker", "stream-app"), ("alerts", "stream-app-alerts")])
def test_prometheus_knows_the_pods_by_the_name_that_the_rules_ask_for(name: str, job: str) -> None:
    (endpoint,) = one("PodMonitor", name)["spec"]["podMetricsEndpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job}]
    rules = (ROOT / "deploy" / "prometheus" / "rules" / "alerts.yaml").read_text()
    assert f'job="{job}"' in rules


def test_a_worker_that_stalls_ends_itself_before_kubernetes_ends_it(tmp_path: Path) -> None:
    broker_monitor = of_worker()["livenessProbe"]
    until_killed_s = broker_monitor["periodSeconds"] * (broker_monitor["failureThreshold"] - 1)
    assert until_killed_s > loaded(tmp_path).stall_s


def test_a_worker_is_given_the_time_that_it_may_take_to_end() -> None:
    assert PODS["worker"]["terminationGracePeriodSeconds"] > watchdog._END_WITHIN_S


def test_workers_are_replaced_one_after_the_other() -> None:
    spec = one("Deployment")["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 1, "maxSurge": 0}}
    assert spec["replicas"] > spec["strategy"]["rollingUpdate"]["maxUnavailable"], "somebody counts meanwhile"
    # The next one ends only when its successor says that it counts.
    assert of_worker()["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == one("PodDisruptionBudget")["spec"]["maxUnavailable"]


def test_the_documents_say_how_an_upgrade_goes_on_kubernetes_and_a_change_of_what_all_must_agree_on() -> None:
    kubernetes = (ROOT / "deploy" / "README.md").read_text().partition("## On Kubernetes")[2]
    assert "one after the other" in kubernetes
    assert "kubectl delete deployment/worker --namespace influence --cascade=foreground" in kubernetes
    assert "at once, because they must not differ" not in kubernetes
    promised = (ROOT / "docs" / "reliability.md").read_text().partition("## Not promised")[2]
    assert "Workers of different releases or settings at the same time" not in promised


def test_everything_that_selects_workers_selects_them() -> None:
    labels = one("Deployment")["spec"]["template"]["metadata"]["labels"]
    others = one("Job", "topics")["spec"]["template"]["metadata"]["labels"]
    selectors = [
        one("Deployment")["spec"]["selector"]["matchLabels"],
        one("Service")["spec"]["selector"],
        one("PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        one("PodMonitor")["spec"]["selector"]["matchLabels"],
        *(each["labelSelector"]["matchLabels"] for each in PODS["worker"]["topologySpreadConstraints"]),
    ]
    for selector in selectors:
        assert selector.items() <= labels.items()
        assert not selector.items() <= others.items()
    assert one("Service")["spec"]["ports"] == [{"name": "http", "port": 6066, "targetPort": "http"}]


def test_the_pod_monitor_is_in_the_namespace_of_the_workers() -> None:
    assert one("PodMonitor")["metadata"]["namespace"] == one("Namespace", "influence")["metadata"]["name"]
    assert {each["apiVersion"] for each in documents(FOLDER / "podmonitor.yaml")} == {"monitoring.coreos.com/v1"}
