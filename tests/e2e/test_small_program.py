"""The engine, the API server and the stand-ins together, on a small program.

The tests stand in the order of a working day: each goes on from what the one before it left.
"""

import base64
import json
import subprocess
from collections.abc import Iterator
from signal import SIGINT, SIGKILL

import pytest

from sandbox.__main__ import default_cache
from sandbox.binaries import build
from sandbox.common import processes
from tests.e2e.harness import Done, Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def first(small: Sandbox) -> Done:
    return small.up()


@pytest.fixture
def unchanged(small: Sandbox, first: Done) -> Iterator[Sandbox]:
    """The deployed program; the engine's record and the cluster's objects are the same after the test as before."""
    record, objects = small.record("small"), _versions(small)
    yield small
    assert small.record("small") == record
    assert _versions(small) == objects


def _versions(small: Sandbox) -> dict[str, str]:
    kinds = "configmap,secret,deployment,service,middleware.traefik.io"
    return {
        f"{live['kind']}/{live['metadata']['name']}": live["metadata"]["resourceVersion"]
        for live in small.objects(kinds)
        if live["metadata"]["namespace"] == "small"
    }


def test_up_deploys_everything_and_waits_until_it_is_ready(small: Sandbox, first: Done) -> None:
    (server,) = small.objects("deployment")
    (job,) = small.objects("job")
    assert server["status"]["availableReplicas"] == 3
    assert job["status"]["succeeded"] == 1
    assert small.state.kubeconfig.as_posix() in first.out


def test_pods_spread_over_the_nodes_of_the_stacks_zones(small: Sandbox, first: Done) -> None:
    zones = {node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in small.objects("node")}
    assert zones == {"eu-central-1a", "eu-central-1b"}
    assert all(pod["spec"]["nodeName"].startswith("sandbox-eu-central-1") for pod in small.objects("pod"))


def test_a_manifest_knows_what_aws_answered(small: Sandbox, first: Done) -> None:
    (settings,) = (live for live in small.objects("configmap") if "vpc" in live.get("data", {}))
    assert settings["data"]["vpc"].startswith("vpc-")
    assert f"vpc: {settings['data']['vpc']}" in first.out


def test_secrets_reach_the_cluster_and_nothing_else(small: Sandbox, first: Done) -> None:
    (secret,) = (live for live in small.objects("secret") if live["metadata"]["name"] == "keys")
    values = [_decoded(value) for value in secret["data"].values()]
    assert sorted(len(value) > 30 for value in values) == [True, True]
    readable = [path for path in small.state.folder.rglob("*") if path.is_file() and "etcd" not in path.parts]
    assert any(path == small.state.checkpoint("small") for path in readable)
    for value in [*values, *secret["data"].values()]:
        assert value not in first.out
        assert [path for path in readable if value.encode() in path.read_bytes()] == []


def test_a_repeat_changes_nothing_and_says_so(unchanged: Sandbox) -> None:
    assert "No changes" in unchanged.up().out


def test_status_tells_what_runs(small: Sandbox, first: Done) -> None:
    done = small.run("status", "--json")
    (told,) = json.loads(done.out)
    assert done.code == 0
    assert told["running"]
    assert {"namespace": "small", "kind": "Deployment", "name": "server", "ready": "3/3"} in told["workloads"]
    assert told["outputs"]["password"] == "[secret]"


def test_nothing_listens_beyond_loopback(small: Sandbox, first: Done) -> None:
    (told,) = json.loads(small.run("status", "--json").out)
    addresses = [address for process in told["processes"] for address in process["listens"]]
    assert len(addresses) >= 3
    assert all(address.startswith("127.0.0.1:") for address in addresses)


def test_a_refused_setting_is_reported_in_the_programs_words(unchanged: Sandbox) -> None:
    unchanged.edit(lambda settings: settings.update(colour="red"))
    done = unchanged.run("up")
    unchanged.edit(lambda settings: settings.update(colour="blue"))
    assert done.code == 2
    assert "settings.colour is 'red': use blue or green" in done.out
    assert "Traceback" not in done.out


def test_a_manifest_that_the_server_refuses_changes_nothing(unchanged: Sandbox) -> None:
    # The other change of the same update would be fine: the preview refuses both before either is made.
    unchanged.edit(lambda settings: settings.update(restartPolicy="Sometimes", colour="green"))
    done = unchanged.run("up")
    unchanged.edit(lambda settings: settings.update(restartPolicy="Never", colour="blue"))
    assert done.code == 1
    assert "nothing was changed" in done.out
    assert 'Job small/migrate: the API server refuses it: Job.batch "migrate" is invalid' in done.out
    assert 'spec.template.spec.restartPolicy: Unsupported value: "Sometimes"' in done.out
    assert "Traceback" not in done.out


def test_an_immutable_job_is_replaced_and_only_it(small: Sandbox, first: Done) -> None:
    (before,) = small.objects("job")
    small.edit(lambda settings: settings.update(command="migrate --again"))
    assert small.up().changed == {("replace", "kubernetes:batch/v1:Job", "migrate")}
    (after,) = small.objects("job")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    assert after["status"]["succeeded"] == 1


def test_an_immutable_selector_replaces_the_deployment_and_moves_the_service(
    small: Sandbox, first: Done
) -> None:
    small.edit(lambda settings: settings.update(role="api"))
    assert small.up().changed == {
        ("replace", "kubernetes:batch/v1:Job", "migrate"),
        ("replace", "kubernetes:apps/v1:Deployment", "server"),
        ("update", "kubernetes:core/v1:Service", "service"),
    }
    (server,) = small.objects("deployment")
    assert server["spec"]["selector"]["matchLabels"] == {"app": "api"}


def test_a_nameless_config_map_is_made_anew_before_the_old_one_goes_and_rolls_the_pods(
    small: Sandbox, first: Done
) -> None:
    def name() -> str:
        return next(
            str(live["metadata"]["name"]) for live in small.objects("configmap") if "colour" in live["data"]
        )

    before = name()
    small.edit(lambda settings: settings.update(colour="green"))
    assert ("replace", "kubernetes:core/v1:ConfigMap", "settings") in small.up().changed
    (server,) = small.objects("deployment")
    (container,) = server["spec"]["template"]["spec"]["containers"]
    assert before.startswith("settings-")
    assert name() != before
    assert container["envFrom"] == [{"configMapRef": {"name": name()}}]


@pytest.mark.parametrize(
    ("signal_number", "extras"), [(SIGKILL, 40), (SIGINT, 160)], ids=["kill -9", "Ctrl-C"]
)
def test_an_interrupted_update_is_taken_up_by_the_next(
    small: Sandbox, first: Done, signal_number: int, extras: int
) -> None:
    small.edit(lambda settings: settings.update(extras=extras))
    code = small.interrupted(signal_number)
    assert code == (130 if signal_number == SIGINT else -SIGKILL)
    done = small.up()
    assert done.changed or "create" in done.out
    names = {live["metadata"]["name"] for live in small.objects("configmap", "-l", "!none")}
    assert {f"extra-{index}" for index in range(extras)} <= names
    assert "No changes" in small.up().out
    small.edit(lambda settings: settings.update(extras=0))
    small.up()


def test_a_control_plane_that_lost_a_process_comes_back_with_its_objects(small: Sandbox, first: Done) -> None:
    (before,) = small.objects("deployment")
    for process in small.processes():
        if processes.name(process) == "kube-apiserver":
            process.kill()
            process.wait()
    assert small.run("status").code == 1
    assert "No changes" in small.up().out
    (after,) = small.objects("deployment")
    assert after["metadata"]["uid"] == before["metadata"]["uid"]


def test_the_clients_are_the_versions_that_are_pinned(small: Sandbox, first: Done) -> None:
    versions = json.loads(small.kubectl("version", "-o", "json").stdout)
    pinned = f"v{build.KUBERNETES.version}"
    assert (versions["clientVersion"]["gitVersion"], versions["serverVersion"]["gitVersion"]) == (
        pinned,
        pinned,
    )


def test_down_leaves_no_process_and_no_file(small: Sandbox, first: Done) -> None:
    bystander = subprocess.Popen(["sleep", "60"])
    ours = small.processes()
    assert len(ours) >= 5
    assert small.run("down").code == 0
    assert not [process for process in ours if process.is_running()]
    assert not small.state.folder.exists()
    assert bystander.poll() is None
    bystander.kill()
    bystander.wait()
    assert (default_cache() / build.KUBERNETES.key).is_dir()


def _decoded(value: str) -> str:
    return base64.b64decode(value).decode()
