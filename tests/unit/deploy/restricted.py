"""The rules of Kubernetes' restricted profile, and those of ours that go further."""

from collections.abc import Iterator, Mapping
from typing import Any

_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
_SECCOMP = {"RuntimeDefault", "Localhost"}


def violations(pod: Mapping[str, Any]) -> list[str]:
    """What a pod has that the restricted profile, or the rules of the house, forbid; paths of fields."""
    return [*_of_pod(pod), *_of_house(pod)]


def _of_pod(pod: Mapping[str, Any]) -> Iterator[str]:
    yield from (name for name in ("hostNetwork", "hostPID", "hostIPC") if pod.get(name))
    for volume in pod.get("volumes", ()):
        yield from (f"volumes.{kind}" for kind in volume if kind != "name" and kind not in _VOLUMES)
    everywhere = pod.get("securityContext", {})
    if "sysctls" in everywhere:
        yield "securityContext.sysctls"
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        own = container.get("securityContext", {})
        yield from _of_container(container, own)
        if not own.get("runAsNonRoot", everywhere.get("runAsNonRoot")):
            yield "runAsNonRoot"
        if not own.get("runAsUser", everywhere.get("runAsUser")):
            yield "runAsUser"
        if own.get("seccompProfile", everywhere.get("seccompProfile", {})).get("type") not in _SECCOMP:
            yield "seccompProfile"


def _of_container(container: Mapping[str, Any], own: Mapping[str, Any]) -> Iterator[str]:
    if own.get("privileged"):
        yield "privileged"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "allowPrivilegeEscalation"
    if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add"):
        yield "capabilities"
    if own.get("procMount", "Default") != "Default":
        yield "procMount"
    if any("hostPort" in port for port in container.get("ports", ())):
        yield "hostPort"


def _of_house(pod: Mapping[str, Any]) -> Iterator[str]:
    """A read-only file system, no token for Kubernetes, no variables of services, and bounded memory."""
    if pod.get("automountServiceAccountToken") is not False:
        yield "automountServiceAccountToken"
    if pod.get("enableServiceLinks") is not False:
        yield "enableServiceLinks"
    for container in pod["containers"]:
        if not container.get("securityContext", {}).get("readOnlyRootFilesystem"):
            yield "readOnlyRootFilesystem"
        resources = container.get("resources", {})
        if "memory" not in resources.get("limits", {}) or {"cpu", "memory"} - {*resources.get("requests", {})}:
            yield "resources"
