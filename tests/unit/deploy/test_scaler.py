"""The scaler on lag: it reads the lag of the workers' group, and starts no more workers than partitions."""

from typing import Any

import jsonschema
import pytest

from stream_app.settings import environment_name, load
from tests.unit.deploy.manifests import Manifest, one, settings


def closed(required: tuple[str, ...] = (), **properties: Any) -> dict[str, Any]:
    """An object with these fields and no others."""
    kind = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**kind, "required": list(required)}


NUMBER, TEXT = {"type": "integer", "minimum": 1}, {"type": "string", "minLength": 1}
NAMED = closed(("name",), name=TEXT)
POLICY = closed(("type", "value", "periodSeconds"), type={"enum": ["Pods"]}, value=NUMBER, periodSeconds=NUMBER)
BEHAVIOUR = closed(stabilizationWindowSeconds=NUMBER, policies={"type": "array", "items": POLICY})
KAFKA = closed(
    ("bootstrapServersFromEnv", "consumerGroup", "topic", "lagThreshold"),
    **dict.fromkeys(("bootstrapServersFromEnv", "consumerGroup", "topic", "version"), TEXT),
    lagThreshold={"type": "string", "pattern": "^[1-9][0-9]*$"},
    offsetResetPolicy={"enum": ["earliest", "latest"]},
    sasl={"enum": ["plaintext", "scram_sha256", "scram_sha512", "oauthbearer", "none"]},
    tls={"enum": ["enable", "disable"]},
)
TRIGGER = closed(("type", "metadata"), type={"enum": ["kafka"]}, metadata=KAFKA, authenticationRef=NAMED)
SPECS = {
    "ScaledObject": closed(
        ("scaleTargetRef", "triggers"),
        scaleTargetRef=NAMED,
        **dict.fromkeys(("minReplicaCount", "maxReplicaCount", "pollingInterval"), NUMBER),
        advanced=closed(horizontalPodAutoscalerConfig=closed(behavior=closed(scaleUp=BEHAVIOUR, scaleDown=BEHAVIOUR))),
        triggers={"type": "array", "items": TRIGGER},
    ),
    "TriggerAuthentication": closed(
        env={"type": "array", "items": closed(("parameter", "name"), parameter=TEXT, name=TEXT, containerName=TEXT)},
        secretTargetRef={
            "type": "array",
            "items": closed(("parameter", "name", "key"), parameter=TEXT, name=TEXT, key=TEXT),
        },
    ),
}
"""What KEDA's documentation has of the fields that are used; its own schema comes with KEDA, not with a package."""

SASL = {"SCRAM-SHA-512": "scram_sha512", "SCRAM-SHA-256": "scram_sha256", "PLAIN": "plaintext"}


def scaler() -> Manifest:
    found: Manifest = one("ScaledObject")["spec"]
    return found


def lags() -> list[Manifest]:
    return [trigger["metadata"] for trigger in scaler()["triggers"]]


def test_the_fields_are_those_that_keda_has() -> None:
    for kind, name in (("ScaledObject", "worker"), ("TriggerAuthentication", "kafka")):
        assert one(kind, name)["apiVersion"] == "keda.sh/v1alpha1"
        jsonschema.validate(one(kind, name)["spec"], SPECS[kind])


def test_a_field_that_keda_does_not_have_is_found() -> None:
    with pytest.raises(jsonschema.ValidationError, match="lagTreshold"):
        jsonschema.validate({**lags()[0], "lagTreshold": "1"}, KAFKA)


def test_the_scaler_scales_the_workers_up_to_the_number_of_partitions() -> None:
    found = load({})
    assert scaler()["scaleTargetRef"]["name"] == one("Deployment")["metadata"]["name"]
    assert environment_name("partitions") not in settings()
    assert one("Deployment")["spec"]["replicas"] == scaler()["minReplicaCount"] < scaler()["maxReplicaCount"]
    assert scaler()["maxReplicaCount"] == found.partitions


def test_the_scaler_asks_for_the_lag_of_the_group_in_everything_it_reads() -> None:
    found = load({})
    assert {lag["consumerGroup"] for lag in lags()} == {found.app_id}
    assert {lag["topic"] for lag in lags()} == {*found.source_topics}
    names = ("app_id", "posts_topic", "shares_topic", "retractions_topic")
    assert not {environment_name(name) for name in names} & {*settings()}
    assert {lag["offsetResetPolicy"] for lag in lags()} == {"earliest"}  # where a worker begins, too


def test_the_scaler_connects_to_kafka_as_the_workers_do() -> None:
    given = settings()
    assert given["STREAM_APP_KAFKA_PROTOCOL"] == "SASL_SSL"
    for lag in lags():
        assert lag["bootstrapServersFromEnv"] in given
        assert (lag["tls"], lag["sasl"]) == ("enable", SASL[given["STREAM_APP_KAFKA_SASL"]])
    login = one("TriggerAuthentication", "kafka")["spec"]
    assert {each["parameter"]: each["name"] for each in login["env"]} == {"username": "STREAM_APP_KAFKA_USER"}
    files = {each["parameter"]: f"/run/secrets/{each['name']}/{each['key']}" for each in login["secretTargetRef"]}
    assert files == {
        "password": given["STREAM_APP_KAFKA_PASSWORD_FILE"],
        "ca": given["STREAM_APP_KAFKA_CA_FILE"],
    }


def test_lag_must_last_longer_than_a_rebalance_makes_it() -> None:
    behaviour = scaler()["advanced"]["horizontalPodAutoscalerConfig"]["behavior"]
    assert behaviour["scaleUp"]["stabilizationWindowSeconds"] > 2 * load({}).session_timeout_s
    assert behaviour["scaleDown"]["stabilizationWindowSeconds"] > behaviour["scaleUp"]["stabilizationWindowSeconds"]
