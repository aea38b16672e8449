"""How the Kubernetes stand-in treats objects, as the official provider would."""

from typing import Any

import pytest

from sandbox.cluster.api import ApiError
from sandbox.cluster.kubernetes import Kubernetes
from sandbox.providers.server import NotReadyError, RefusedError, Resource
from sandbox.providers.wire import UNKNOWN
from tests.sandbox.fakes import FakeApi, invalid

CONFIG_MAP = Resource("urn:pulumi:dev::p::kubernetes:core/v1:ConfigMap::settings")
SEED = bytes.fromhex("0123456789abcdef")


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def kubernetes(api: FakeApi) -> Kubernetes:
    return Kubernetes(api, patience=0.2, interval=0.01)  # type: ignore[arg-type]


def config_map(name: str = "settings", namespace: str = "default", **data: Any) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def make(kubernetes: Kubernetes, inputs: dict[str, Any], *, preview: bool = False) -> Any:
    return kubernetes.create(CONFIG_MAP, inputs, preview=preview, timeout=0)


def test_an_object_without_a_name_gets_one_and_keeps_it(kubernetes: Kubernetes) -> None:
    nameless = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"namespace": "a"}}
    first = kubernetes.check(CONFIG_MAP, None, nameless, SEED)
    assert first["metadata"]["name"] == "settings-01234567"
    assert kubernetes.check(CONFIG_MAP, first, nameless, b"other")["metadata"]["name"] == "settings-01234567"


def test_a_replacement_of_a_nameless_object_gets_another_name(kubernetes: Kubernetes) -> None:
    nameless = {"apiVersion": "v1", "kind": "ConfigMap"}
    names = {
        kubernetes.check(CONFIG_MAP, None, nameless, seed)["metadata"]["name"] for seed in (SEED, b"\x01" * 8)
    }
    assert len(names) == 2


def test_a_given_name_is_left_alone(kubernetes: Kubernetes) -> None:
    assert kubernetes.check(CONFIG_MAP, None, config_map(), SEED) == config_map()


def test_a_patch_resource_is_refused(kubernetes: Kubernetes) -> None:
    patch = Resource("urn:pulumi:dev::p::kubernetes:core/v1:ConfigMapPatch::settings")
    with pytest.raises(RefusedError, match="ConfigMapPatch is not served"):
        kubernetes.check(patch, None, config_map(), SEED)


def test_equal_inputs_are_no_change_and_the_server_is_not_asked(kubernetes: Kubernetes, api: FakeApi) -> None:
    assert not kubernetes.diff(CONFIG_MAP, config_map(a="1"), config_map(a="1")).properties
    assert not api.dry_runs


def test_a_change_that_the_server_accepts_is_an_update(kubernetes: Kubernetes) -> None:
    change = kubernetes.diff(CONFIG_MAP, config_map(a="1"), config_map(a="2"))
    assert (list(change.properties), list(change.replaces)) == (["data"], [])


@pytest.mark.parametrize(
    "words",
    [
        "Service is invalid: spec.clusterIPs[0]: Invalid value: may not change once set",
        'Deployment "d" is invalid: spec.selector: Invalid value: field is immutable',
        'StatefulSet "s" is invalid: Forbidden: updates to statefulset spec for fields other than a are forbidden',
        'RoleBinding "r" is invalid: roleRef: Invalid value: cannot change roleRef',
    ],
)
def test_what_the_server_calls_immutable_is_replaced(
    kubernetes: Kubernetes, api: FakeApi, words: str
) -> None:
    api.verdict = _refusing(invalid(words, field="data.x"))
    assert list(kubernetes.diff(CONFIG_MAP, config_map(a="1"), config_map(a="2")).replaces) == ["data"]


def test_another_refusal_is_no_reason_to_replace(kubernetes: Kubernetes, api: FakeApi) -> None:
    api.verdict = _refusing(invalid("spec.replicas: Invalid value: -1: must be greater than or equal to 0"))
    assert not kubernetes.diff(CONFIG_MAP, config_map(a="1"), config_map(a="2")).replaces


def test_a_named_object_goes_before_its_replacement_and_a_nameless_one_after(
    kubernetes: Kubernetes, api: FakeApi
) -> None:
    api.verdict = _refusing(invalid("field is immutable"))
    named = kubernetes.diff(CONFIG_MAP, config_map(a="1"), config_map(a="2"))
    nameless = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"a": "1"}}
    first = kubernetes.check(CONFIG_MAP, None, nameless, SEED)
    second = kubernetes.check(CONFIG_MAP, first, {**nameless, "data": {"a": "2"}}, SEED)
    assert named.delete_first
    assert not kubernetes.diff(CONFIG_MAP, first, second).delete_first


@pytest.mark.parametrize("other", [{"name": "renamed"}, {"namespace": "elsewhere"}])
def test_another_name_or_namespace_is_another_object(kubernetes: Kubernetes, other: dict[str, str]) -> None:
    change = kubernetes.diff(CONFIG_MAP, config_map(), config_map(**other))
    assert list(change.replaces) == ["metadata"]


def test_a_newer_version_of_the_same_api_is_the_same_object(kubernetes: Kubernetes) -> None:
    old = {**config_map(), "apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler"}
    assert not kubernetes.diff(CONFIG_MAP, old, {**old, "apiVersion": "autoscaling/v2"}).replaces


def test_a_preview_tries_without_changing_anything(kubernetes: Kubernetes, api: FakeApi) -> None:
    make(kubernetes, config_map(), preview=True)
    assert len(api.dry_runs) == 1
    assert not api.applied


def test_a_preview_tells_the_servers_refusal_with_kind_and_name(kubernetes: Kubernetes, api: FakeApi) -> None:
    api.verdict = _refusing(invalid("metadata.name: must be lower case"))
    with pytest.raises(RefusedError, match=r"^ConfigMap default/settings: .* must be lower case"):
        make(kubernetes, config_map(), preview=True)


def test_a_preview_of_a_namespace_to_be_made_asks_about_an_existing_one(
    kubernetes: Kubernetes, api: FakeApi
) -> None:
    make(kubernetes, config_map(namespace="new"), preview=True)
    assert api.dry_runs[0]["metadata"]["namespace"] == "default"
    api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "new"}})
    make(kubernetes, config_map(namespace="new"), preview=True)
    assert api.dry_runs[1]["metadata"]["namespace"] == "new"


def test_a_preview_skips_what_is_not_known_yet(kubernetes: Kubernetes, api: FakeApi) -> None:
    api.verdict = _refusing(invalid("never asked"))
    make(kubernetes, config_map(arn=UNKNOWN), preview=True)


def test_a_preview_leaves_a_kind_that_the_update_may_bring_and_the_update_refuses_it(
    kubernetes: Kubernetes, api: FakeApi
) -> None:
    api.unknown_kinds = {"Widget"}
    widget = {**config_map(), "kind": "Widget"}
    make(kubernetes, widget, preview=True)
    with pytest.raises(RefusedError, match="Widget default/settings: the API server has no kind Widget"):
        make(kubernetes, widget)


def test_a_preview_of_a_replacement_is_not_refused_for_the_object_that_still_stands(
    kubernetes: Kubernetes, api: FakeApi
) -> None:
    api.verdict = _refusing_name("settings", invalid("field is immutable"))
    make(kubernetes, config_map(), preview=True)
    with pytest.raises(RefusedError, match="immutable"):
        kubernetes.update(CONFIG_MAP, config_map(), {}, preview=True, timeout=0)


def test_a_preview_of_a_replacement_is_refused_for_a_fault_of_its_own(
    kubernetes: Kubernetes, api: FakeApi
) -> None:
    def verdict(manifest: dict[str, Any]) -> None:
        stands = manifest["metadata"]["name"] == "settings"
        raise invalid("field is immutable, unsupported value" if stands else "unsupported value")

    api.verdict = verdict
    with pytest.raises(
        RefusedError, match="ConfigMap default/settings: the API server refuses it: unsupported value"
    ):
        make(kubernetes, config_map(), preview=True)


def test_an_object_is_answered_without_the_servers_book_keeping(kubernetes: Kubernetes) -> None:
    answer = make(kubernetes, config_map())
    assert answer.id == "default/settings"
    assert "managedFields" not in answer.outputs["metadata"]
    assert answer.outputs["metadata"]["uid"] == "uid-1"


def test_a_conflict_tells_how_to_take_the_field_over(kubernetes: Kubernetes, api: FakeApi) -> None:
    api.verdict = _refusing(
        ApiError(409, {"reason": "Conflict", "message": 'conflict with "kubectl": .data.a'})
    )
    with pytest.raises(RefusedError, match=r'conflict with "kubectl": \.data\.a .*pulumi\.com/patchForce'):
        make(kubernetes, config_map())


def test_waiting_ends_with_the_reason_when_time_is_up(kubernetes: Kubernetes) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}, "spec": {}}
    with pytest.raises(NotReadyError, match="Pod a/p: not ready after 0 s: the pod is Pending"):
        make(kubernetes, pod)


def test_an_annotation_skips_the_waiting(kubernetes: Kubernetes) -> None:
    metadata = {"name": "p", "namespace": "a", "annotations": {"pulumi.com/skipAwait": "true"}}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": {}}
    assert make(kubernetes, pod).id == "a/p"


def test_deletion_waits_until_the_object_is_gone_and_tells_what_holds_it(
    kubernetes: Kubernetes, api: FakeApi
) -> None:
    made = make(
        kubernetes, {**config_map(), "metadata": {"name": "s", "namespace": "a", "finalizers": ["x/hold"]}}
    )
    api.delete = lambda *address: None  # type: ignore[method-assign]
    with pytest.raises(RefusedError, match="ConfigMap a/s: not deleted in time: finalizers x/hold"):
        kubernetes.delete(CONFIG_MAP, made.outputs, timeout=0)


def test_deletion_removes_the_object_and_is_no_error_twice(kubernetes: Kubernetes, api: FakeApi) -> None:
    made = make(kubernetes, config_map())
    for _ in range(2):
        kubernetes.delete(CONFIG_MAP, made.outputs, timeout=0)
        assert not api.objects


def test_deletion_spares_a_successor_of_the_same_name(kubernetes: Kubernetes, api: FakeApi) -> None:
    made = make(kubernetes, config_map())
    api.objects.clear()
    successor = make(kubernetes, config_map())
    kubernetes.delete(CONFIG_MAP, made.outputs, timeout=0)
    assert successor.outputs["metadata"]["uid"] in [live["metadata"]["uid"] for live in api.objects.values()]


def test_reading_finds_an_object_by_its_id_and_tells_when_it_is_gone(
    kubernetes: Kubernetes, api: FakeApi
) -> None:
    made = make(kubernetes, config_map(a="1"))
    found = kubernetes.read(CONFIG_MAP, made.id, {})
    assert found is not None
    assert found.outputs["data"] == {"a": "1"}
    api.objects.clear()
    assert kubernetes.read(CONFIG_MAP, made.id, {}) is None


def _refusing(error: Exception) -> Any:
    def verdict(manifest: dict[str, Any]) -> None:
        raise error

    return verdict


def _refusing_name(name: str, error: Exception) -> Any:
    def verdict(manifest: dict[str, Any]) -> None:
        if manifest["metadata"]["name"] == name:
            raise error

    return verdict
