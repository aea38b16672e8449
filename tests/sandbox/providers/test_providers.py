"""The stand-in providers as the engine meets them: over gRPC."""

from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from google.protobuf.empty_pb2 import Empty
from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc, status_pb2

from sandbox.cluster.kubernetes import Kubernetes
from sandbox.providers.cloud import PACKAGES, Emulated
from sandbox.providers.server import Backend, served
from sandbox.providers.wire import UNKNOWN, decode, encode, is_secret
from tests.sandbox.fakes import FakeApi

_DIFF = provider_pb2.DiffResponse


def urn(type_: str, name: str = "it") -> str:
    return f"urn:pulumi:dev::langgraph-agents::component:index:Parent${type_}::{name}"


VPC = urn("aws:ec2/vpc:Vpc")
PASSWORD = urn("random:index/randomPassword:RandomPassword")
CONFIG_MAP = urn("kubernetes:core/v1:ConfigMap")


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
def stubs(api: FakeApi) -> Iterator[dict[str, Any]]:
    backends: dict[str, Backend] = {package: Emulated() for package in PACKAGES}
    kubernetes = Kubernetes(api, patience=1.0, interval=0.01)  # type: ignore[arg-type]
    with served({**backends, "kubernetes": kubernetes}) as providers:
        channels = {
            package: grpc.insecure_channel(f"127.0.0.1:{port}") for package, port in providers.ports.items()
        }
        yield {
            package: provider_pb2_grpc.ResourceProviderStub(channel) for package, channel in channels.items()
        }
        for channel in channels.values():
            channel.close()


def create(stub: Any, of: str, inputs: dict[str, Any], *, preview: bool = False) -> Any:
    return stub.Create(provider_pb2.CreateRequest(urn=of, properties=encode(inputs), preview=preview))


def test_the_engine_gets_the_address_of_each_provider() -> None:
    with served({"aws": Emulated(), "random": Emulated()}) as providers:
        named = providers.environment["PULUMI_DEBUG_PROVIDERS"].split(",")
        assert [part.split(":")[0] for part in named] == ["aws", "random"]
        assert all(int(part.split(":")[1]) == providers.ports[part.split(":")[0]] for part in named)


def test_the_handshake_leaves_the_marking_of_secret_inputs_to_the_engine(stubs: dict[str, Any]) -> None:
    stub = stubs["aws"]
    handshake = stub.Handshake(provider_pb2.ProviderHandshakeRequest())
    configured = stub.Configure(provider_pb2.ConfigureRequest())
    assert (handshake.accept_secrets, configured.acceptSecrets) == (False, False)
    assert configured.supportsPreview


def test_a_created_resource_has_an_id_its_inputs_and_what_aws_computes(stubs: dict[str, Any]) -> None:
    created = create(stubs["aws"], VPC, {"cidrBlock": "10.0.0.0/16"})
    outputs = decode(created.properties)
    assert created.id.startswith("vpc-")
    assert outputs["cidrBlock"] == "10.0.0.0/16"
    assert outputs["arn"].endswith(created.id)


def test_a_preview_foresees_the_id_that_the_update_then_gives(stubs: dict[str, Any]) -> None:
    inputs = {"cidrBlock": "10.0.0.0/16"}
    assert create(stubs["aws"], VPC, inputs, preview=True).id == create(stubs["aws"], VPC, inputs).id


def test_a_preview_says_nothing_of_a_resource_whose_inputs_are_not_known(stubs: dict[str, Any]) -> None:
    answer = create(stubs["aws"], VPC, {"cidrBlock": UNKNOWN}, preview=True)
    assert answer.id == ""
    assert decode(answer.properties) == {"cidrBlock": UNKNOWN}


def test_a_password_is_random_secret_and_unknown_to_a_preview(stubs: dict[str, Any]) -> None:
    answers = [create(stubs["random"], PASSWORD, {"length": 32}) for _ in range(2)]
    values = {decode(answer.properties)["result"] for answer in answers}
    assert len(values) == 2
    assert all(len(value) == 32 for value in values)
    assert all(_is_marked(answer.properties, "result") for answer in answers)
    assert "result" not in decode(create(stubs["random"], PASSWORD, {"length": 32}, preview=True).properties)


def test_an_unknown_type_is_refused_by_its_name(stubs: dict[str, Any]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        create(stubs["aws"], urn("aws:quantum/leap:Leap"), {})
    assert "aws:quantum/leap:Leap" in str(refused.value)


def test_an_unknown_function_is_refused_by_its_name(stubs: dict[str, Any]) -> None:
    with pytest.raises(grpc.RpcError) as refused:
        stubs["aws"].Invoke(provider_pb2.InvokeRequest(tok="aws:index/getNothing:getNothing", args=Struct()))
    assert "aws:index/getNothing:getNothing" in str(refused.value)


def test_a_function_is_answered(stubs: dict[str, Any]) -> None:
    request = provider_pb2.InvokeRequest(tok="aws:index/getCallerIdentity:getCallerIdentity", args=Struct())
    answer = stubs["aws"].Invoke(request)
    assert decode(getattr(answer, "return"))["accountId"].isdigit()


@pytest.mark.parametrize(
    ("new", "changes", "replaces"),
    [
        ({"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True}, _DIFF.DIFF_NONE, []),
        ({"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": False}, _DIFF.DIFF_SOME, []),
        ({"cidrBlock": "10.1.0.0/16", "enableDnsHostnames": True}, _DIFF.DIFF_SOME, ["cidrBlock"]),
    ],
)
def test_a_difference_replaces_only_what_aws_cannot_change(
    stubs: dict[str, Any], new: dict[str, Any], changes: int, replaces: list[str]
) -> None:
    old = {"cidrBlock": "10.0.0.0/16", "enableDnsHostnames": True}
    diff = stubs["aws"].Diff(provider_pb2.DiffRequest(urn=VPC, old_inputs=encode(old), news=encode(new)))
    assert (diff.changes, list(diff.replaces)) == (changes, replaces)


def test_an_update_keeps_what_was_computed(stubs: dict[str, Any]) -> None:
    made = create(stubs["random"], PASSWORD, {"length": 16})
    request = provider_pb2.UpdateRequest(
        urn=PASSWORD, olds=made.properties, news=encode({"length": 16, "special": False})
    )
    updated = stubs["random"].Update(request)
    assert decode(updated.properties)["result"] == decode(made.properties)["result"]
    assert _is_marked(updated.properties, "result")


def test_a_provider_is_never_replaced_for_its_configuration(stubs: dict[str, Any]) -> None:
    request = provider_pb2.DiffRequest(
        old_inputs=encode({"kubeconfig": "a"}), news=encode({"kubeconfig": "b"})
    )
    assert stubs["kubernetes"].DiffConfig(request).changes == _DIFF.DIFF_NONE


def test_what_does_not_become_ready_is_kept_with_its_reason(stubs: dict[str, Any], api: FakeApi) -> None:
    job = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "namespace": "a"},
        "spec": {},
    }
    api.on_get = lambda live: live["status"].update(
        {
            "conditions": [
                {"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "message": "it fails"}
            ]
        }
    )
    with pytest.raises(grpc.RpcError) as refused:
        create(stubs["kubernetes"], urn("kubernetes:batch/v1:Job"), job)
    status = status_pb2.Status.FromString(_details(refused.value))
    failed = provider_pb2.ErrorResourceInitFailed()
    assert status.details[0].Unpack(failed)
    assert failed.id == "a/migrate"
    assert list(failed.reasons) == ["Job a/migrate: failed: BackoffLimitExceeded: it fails"]
    assert decode(failed.inputs) == job


def test_the_data_of_a_kubernetes_secret_is_marked(stubs: dict[str, Any]) -> None:
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "s", "namespace": "a"},
        "data": {"k": "dg=="},
    }
    created = create(stubs["kubernetes"], urn("kubernetes:core/v1:Secret"), secret)
    assert _is_marked(created.properties, "data")
    assert not _is_marked(created.properties, "metadata")


def test_a_helm_release_is_emulated(stubs: dict[str, Any], api: FakeApi) -> None:
    release = {"chart": "traefik", "namespace": "traefik", "version": "1.0.0", "name": "traefik"}
    created = create(stubs["kubernetes"], urn("kubernetes:helm.sh/v3:Release"), release)
    assert decode(created.properties)["chart"] == "traefik"
    assert not api.applied


def test_what_waits_ends_when_the_engine_cancels_and_the_next_operation_waits_again(
    stubs: dict[str, Any], api: FakeApi
) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "namespace": "a"}, "spec": {}}
    stub = stubs["kubernetes"]
    stub.Cancel(Empty())
    with pytest.raises(grpc.RpcError, match="interrupted"):
        create(stub, urn("kubernetes:core/v1:Pod"), pod)
    stub.Configure(provider_pb2.ConfigureRequest())
    api.on_get = lambda live: live["status"].update({"phase": "Succeeded"})
    assert create(stub, urn("kubernetes:core/v1:Pod"), pod).id == "a/p"


def _is_marked(properties: Struct, key: str) -> bool:

    return is_secret(MessageToDict(properties)[key])


def _details(error: grpc.RpcError) -> bytes:
    metadata: Any = error.trailing_metadata()
    found: bytes = next(value for key, value in metadata if key == "grpc-status-details-bin")
    return found
