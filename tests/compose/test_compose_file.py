"""What a stack becomes as a Compose file."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from compose.development import development_file
from compose.images import AgentImage
from compose.pins import PGVECTOR, POSTGRES
from compose.problems import check_file, problems_of
from compose.services import compose_file, nginx_conf
from stacks.of_stack import NamedStack, read_stack
from tests.compose.compose_stacks import stack_with
from tests.conftest import recorded

LIMITS: list[dict[str, Any]] = [{}, {"rateLimit": {"average": 5, "burst": 9}}]
WORKERS: dict[str, Any] = {"workers": {"replicas": {"min": 2, "max": 4}}}


def file_of(named: NamedStack, stack: str = "dev", **images: AgentImage) -> dict[str, Any]:
    agents = named.settings.agents
    ready = {agent.name: AgentImage("agent:1") for agent in agents} | images
    return compose_file(named, stack, ready, "1000:1000", nginx_conf(agents))


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_a_stack_of_the_repository_is_a_valid_compose_file(stack: str) -> None:
    file = file_of(read_stack(stack), stack)
    check_file(file)
    assert "version" not in file


@pytest.mark.parametrize(
    "agent",
    [
        WORKERS,
        {"source": "examples/orders"},
        {"image": "ghcr.io/acme/research:1.4"},
        {
            "pod": {
                "volumes": [{"name": "scratch", "mountPath": "/scratch", "emptyDir": {"sizeLimit": "1Gi"}}]
            }
        },
        {
            "secrets": [
                {"name": "API_KEYS", "source": "generated"},
                {"name": "OPENAI_API_KEY", "source": "manual"},
            ]
        },
        {"env": {"PRICE": "$5"}},
    ],
    ids=lambda agent: next(iter(agent)),
)
def test_whatever_an_agent_has_the_file_is_valid(agent: dict[str, Any]) -> None:
    file = file_of(stack_with(**agent))
    check_file(file)
    check_file(development_file(stack_with(**agent).settings.agents, {"support": AgentImage("a", "./a")}))


def test_a_file_that_the_specification_does_not_know_is_refused_with_the_place() -> None:
    file = file_of(stack_with())
    file["services"]["support"]["replica"] = 2
    with pytest.raises(ValueError, match=r"\$\.services\.support"):
        check_file(file)


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_agents_have_the_variables_of_their_pods(stack: str) -> None:
    services = file_of(read_stack(stack), stack)["services"]
    pods = {
        found.inputs["metadata"]["name"]: found.inputs["data"]
        for found in recorded(stack).of_type("kubernetes:core/v1:ConfigMap")
    }
    agents = [agent.name for agent in read_stack(stack).settings.agents]
    for name in (*agents, *(f"{agent}-migrate" for agent in agents)):
        assert services[name]["environment"] == pods[name]


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_agents_have_the_files_sizes_and_commands_of_their_pods(stack: str) -> None:
    services = file_of(read_stack(stack), stack)["services"]
    classes = {
        found.inputs["metadata"]["name"]: found.inputs["spec"]["parameters"]["objects"]
        for found in recorded(stack).resources.values()
        if found.type.endswith(":SecretProviderClass")
    }
    for agent in read_stack(stack).settings.agents:
        for name in (agent.name, f"{agent.name}-migrate"):
            mounted = {each["objectAlias"] for each in json.loads(classes[name])}
            targets = {each["target"] for each in services[name]["secrets"]}
            assert targets == {
                *(f"/var/run/secrets/langgraph-agents/{file}" for file in mounted),
                "/etc/langgraph-agents/rds-ca.pem",
            }
    jobs = recorded(stack).of_type("kubernetes:batch/v1:Job")
    for job in jobs:
        (container,) = job.inputs["spec"]["template"]["spec"]["containers"]
        name = f"{job.inputs['metadata']['labels']['app.kubernetes.io/name']}-migrate"
        assert services[name]["entrypoint"] == container["command"]


def test_sizes_are_those_of_the_stack_in_the_units_of_docker() -> None:
    agent: dict[str, Any] = {
        "resources": {
            "requests": {"cpu": "250m", "memory": "1Gi"},
            "limits": {"cpu": "1500m", "memory": "1500M"},
        },
        "replicas": {"min": 3, "max": 4},
    }
    deploy = file_of(stack_with(**agent))["services"]["support"]["deploy"]
    assert deploy == {
        "replicas": 3,
        "resources": {
            "limits": {"cpus": "1.5", "memory": "1500000000b"},
            "reservations": {"cpus": "0.25", "memory": "1024m"},
        },
    }


def test_every_container_has_no_more_rights_than_a_restricted_pod() -> None:
    for name, service in file_of(stack_with(**WORKERS))["services"].items():
        assert service["read_only"], name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        # One container gives a volume to its user, and ends.
        assert service["user"] == ("0:0" if name == "valkey-volume" else "1000:1000"), name
        assert service.get("cap_add", []) == (["CHOWN"] if name == "valkey-volume" else []), name


def test_images_beside_the_agents_are_pinned_by_digest() -> None:
    services = file_of(stack_with(**WORKERS))["services"]
    for name in ("postgres", "valkey", "valkey-volume", "nginx"):
        assert re.search(r"@sha256:[0-9a-f]{64}$", services[name]["image"]), name


def test_everything_starts_after_what_it_needs_is_healthy() -> None:
    services = file_of(stack_with(**WORKERS))["services"]
    conditions = {
        name: {needed: how["condition"] for needed, how in service.get("depends_on", {}).items()}
        for name, service in services.items()
    }
    stores = {"postgres": "service_healthy", "valkey": "service_healthy"}
    served = {"support-migrate": "service_completed_successfully", **stores}
    assert conditions["support-migrate"] == {"postgres": "service_healthy"}
    assert conditions["support"] == conditions["support-worker"] == served
    assert conditions["nginx"] == {"support": "service_healthy"}
    for name in ("postgres", "valkey", "support", "support-worker", "nginx"):
        assert services[name]["healthcheck"]["test"], name


def test_workers_execute_with_variables_and_replicas_of_their_own() -> None:
    services = file_of(stack_with(**WORKERS))["services"]
    assert services["support"]["environment"]["PROCESS_ROLE"] == "answer"
    assert services["support-worker"]["environment"]["PROCESS_ROLE"] == "execute"
    assert services["support-worker"]["deploy"]["replicas"] == 2


def test_a_fleet_that_may_have_no_pod_has_one_container() -> None:
    queue: dict[str, Any] = {"workers": {"replicas": {"min": 0, "max": 4}, "autoscaling": {"queue": 10}}}
    assert file_of(stack_with(**queue))["services"]["support-worker"]["deploy"]["replicas"] == 1


def test_a_variable_with_a_dollar_sign_is_none_of_compose_s() -> None:
    environment = file_of(stack_with(env={"PRICE": "$5 or ${X}"}))["services"]["support"]["environment"]
    assert environment["PRICE"] == "$$5 or $${X}"


@pytest.mark.parametrize("major", ["17", "18"])
def test_postgresql_has_the_stack_s_major_version_and_pgvector_where_it_is_asked_for(major: str) -> None:
    named = stack_with(database={"engineVersion": major})
    plain, vectors = AgentImage("a"), AgentImage("a", vectors=True)
    assert file_of(named, support=plain)["services"]["postgres"]["image"] == POSTGRES[major]
    assert file_of(named, support=vectors)["services"]["postgres"]["image"] == PGVECTOR[major]


def test_postgresql_takes_the_connections_of_all_containers() -> None:
    small = file_of(stack_with())["services"]["postgres"]["command"]
    many: dict[str, Any] = {"replicas": {"min": 4, "max": 4}, "pool": {"maxSize": 30}}
    named = stack_with(database={"instanceClass": "db.m7g.large"}, **many)
    large = file_of(named)["services"]["postgres"]["command"]
    assert "max_connections=100" in small
    assert "max_connections=132" in large  # 4 x 30, 2 for maintenance, 10 in reserve


def test_only_nginx_is_reached_from_outside_and_stores_reach_nobody() -> None:
    file = file_of(stack_with(**WORKERS))
    published = [name for name, service in file["services"].items() if "ports" in service]
    assert published == ["nginx"]
    assert file["services"]["nginx"]["ports"] == ["${LISTEN:-127.0.0.1:8080}:8080"]
    assert file["networks"]["stores"] == {"internal": True}
    assert file["services"]["nginx"]["networks"] == ["callers"]
    assert file["services"]["postgres"]["networks"] == ["stores"]


def test_a_changed_limit_makes_nginx_anew() -> None:
    label = [
        file_of(stack_with(**agent))["services"]["nginx"]["labels"]["checksum/config"] for agent in LIMITS
    ]
    assert label[0] != label[1]


def test_nginx_has_the_platform_s_figures_unless_an_agent_has_its_own() -> None:
    plain = nginx_conf(stack_with().settings.agents)
    assert "rate=10r/s" in plain
    assert "burst=20 nodelay" in plain
    assert "proxy_read_timeout 300s" in plain
    lifetimes = {"runTimeout": 600, "gracePeriod": 640}
    ingress = {"idleTimeout": 700}
    own = nginx_conf(
        stack_with(ingress=ingress, rateLimit={"average": 5, "burst": 9}, lifetimes=lifetimes).settings.agents
    )
    assert "rate=5r/s" in own
    assert "burst=9 nodelay" in own
    assert "proxy_read_timeout 600s" in own


def test_all_that_compose_cannot_run_is_refused_at_once_with_a_remedy() -> None:
    probe = {"tcpSocket": {"port": 9000}}
    size = {"cpu": "100m", "memory": "64Mi"}
    container = {"image": "ghcr.io/acme/x:1", "resources": {"requests": size, "limits": size}}
    named = stack_with(
        pod={
            "volumes": [{"name": "files", "mountPath": "/files", "configMap": {"name": "files"}}],
            "initContainers": [{"name": "fetch", **container}],
            "sidecars": [{"name": "proxy", **container, "livenessProbe": probe, "readinessProbe": probe}],
        }
    )
    found = problems_of(named.settings)
    assert [problem.field for problem in found] == [
        "agents[0].pod.volumes",
        "agents[0].pod.initContainers",
        "agents[0].pod.sidecars",
    ]
    assert all("Pulumi.laptop.yaml" in problem.remedy for problem in found)


def test_langgraph_s_own_server_is_refused_by_name_with_the_command_that_runs_it() -> None:
    (problem,) = problems_of(
        stack_with(
            runtime="langgraph-server",
            image="ghcr.io/acme/research:1.4",
            env={"LANGGRAPH_AUTH_TYPE": "noop"},
            secrets=[{"name": "LANGGRAPH_CLOUD_LICENSE_KEY", "source": "manual"}],
        ).settings
    )
    assert problem.field == "agents[0].runtime"
    assert "langgraph up" in problem.remedy


@pytest.mark.parametrize("name", ["nginx", "valkey", "valkey-volume", "tls"])
def test_an_agent_may_not_have_the_name_of_what_runs_beside_it(name: str) -> None:
    (problem,) = problems_of(stack_with(name=name).settings)
    assert problem.field == "agents[0].name"


def test_sources_are_mounted_into_every_container_of_an_agent_and_a_change_restarts_it() -> None:
    agents = stack_with(**WORKERS).settings.agents
    image = AgentImage(
        "a", "./images/a", {"/project/lib": Path("/home/me/lib"), "/project": Path("/home/me")}
    )
    services = development_file(agents, {"support": image})["services"]
    mounts = [
        {"type": "bind", "source": "/home/me/lib", "target": "/project/lib", "read_only": True},
        {"type": "bind", "source": "/home/me", "target": "/project", "read_only": True},
    ]
    assert services["support-migrate"] == {"volumes": mounts}
    for name in ("support", "support-worker"):
        assert services[name]["volumes"] == mounts
        assert services[name]["deploy"] == {"replicas": 1}
        watched = services[name]["develop"]["watch"]
        assert [each["path"] for each in watched] == ["/home/me/lib", "/home/me"]
        assert {each["action"] for each in watched} == {"restart"}
        assert {"__pycache__/", ".venv/"} <= set(watched[0]["ignore"])
        # A run in flight would hold up the restart for as long as it may take.
        assert services[name]["stop_grace_period"] == "3s"


def test_a_ready_image_has_no_source_to_mount() -> None:
    agents = stack_with(image="ghcr.io/acme/research:1.4").settings.agents
    assert development_file(agents, {"support": AgentImage("ghcr.io/acme/research:1.4")}) == {"services": {}}
