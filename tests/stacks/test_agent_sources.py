"""Agents that are made of a LangGraph project: `source`."""

import copy
import json
from pathlib import Path
from typing import Any

import pytest

from images.resolution import Resolution
from preview.recording.plan import PlannedResource
from preview.recording.recorder import Recording
from stacks import agent_image
from stacks.loading import SettingsError, load
from tests.conftest import record_with
from tests.stacks.stack_files import ROOT, settings_of

ORDERS = str(ROOT / "examples" / "orders")
IMAGE = f"example.com/agent@sha256:{'a' * 64}"
BUILD = "docker-build:index:Image"
REVISION = "org.opencontainers.image.revision"
REPOSITORY = "aws:ecr/repository:Repository"


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    found = Resolution("idna==3.10 \\\n    --hash=sha256:00\n", "", locked=False)
    monkeypatch.setattr("images.context.resolve", lambda *_: found)
    monkeypatch.setattr(agent_image, "CONTEXTS", tmp_path / "contexts")


def with_agents(*agents: dict[str, Any], **changed: Any) -> dict[str, Any]:
    settings = copy.deepcopy(settings_of("dev"))
    hosted = [{"host": f"{agent['name']}.dev.agents.example.com", **agent} for agent in agents]
    return {**settings, **changed, "agents": [*settings["agents"], *hosted]}


def refused(settings: dict[str, Any]) -> list[str]:
    with pytest.raises(SettingsError) as error:
        load(settings, stack="dev")
    return str(error.value).splitlines()


def own(recording: Recording, agent: str) -> dict[str, Any]:
    """What an agent's resources are told, by URN."""
    root = f"::{agent}"
    (group,) = [urn for urn in recording.resources if urn.endswith(f"stacks:Agent{root}")]

    def within(resource: PlannedResource | None) -> bool:
        while resource is not None and resource.parent:
            if resource.parent == group:
                return True
            resource = recording.resources.get(resource.parent)
        return False

    found = {urn: resource.inputs for urn, resource in recording.resources.items() if within(resource)}
    assert len(found) > 20
    return found


def test_an_agent_with_a_source_has_a_repository_and_a_build_of_its_own() -> None:
    recording = record_with("dev", with_agents({"name": "orders", "source": ORDERS}))
    repositories = {found.inputs["name"] for found in recording.of_type(REPOSITORY)}
    assert repositories == {"langgraph-agents-dev", "langgraph-agents-dev/orders"}
    (build,) = [found for found in recording.of_type(BUILD) if found.name.startswith("orders")]
    context = Path(build.inputs["context"]["location"])
    assert (context / "project/src/shop/graph.py").is_file()
    assert build.inputs["platforms"] == ["linux/amd64"]
    assert context.name == f"orders-{build.inputs['labels'][REVISION]}"


def test_where_every_agent_has_a_source_the_stack_builds_no_other_image() -> None:
    settings = with_agents({"name": "orders", "source": ORDERS})
    settings["agents"] = settings["agents"][1:]
    assert {found.name for found in record_with("dev", settings).of_type(BUILD)} == {"orders-image-build"}


def test_a_changed_source_changes_one_agents_image_alone(tmp_path: Path) -> None:
    project = tmp_path / "project"
    project.mkdir()
    (project / "graph.py").write_text("graph = None")
    (project / "langgraph.json").write_text(
        json.dumps({"dependencies": ["."], "graphs": {"a": "./graph.py:graph"}})
    )
    agents = ({"name": "orders", "source": ORDERS}, {"name": "mine", "source": str(project)})
    before = record_with("dev", with_agents(*agents))
    (project / "graph.py").write_text("graph = 1")
    after = record_with("dev", with_agents(*agents))
    for agent in ("support", "orders"):
        assert own(before, agent) == own(after, agent), agent
    assert own(before, "mine") != own(after, "mine")


def test_two_agents_of_one_source_get_the_same_build() -> None:
    recording = record_with(
        "dev", with_agents({"name": "one", "source": ORDERS}, {"name": "two", "source": ORDERS})
    )
    one, two = (
        next(found for found in recording.of_type(BUILD) if found.name == f"{name}-image-build")
        for name in ("one", "two")
    )
    assert one.inputs["labels"][REVISION] == two.inputs["labels"][REVISION]


def test_one_more_of_twenty_agents_changes_nothing_of_the_others() -> None:
    pool = {"maxSize": 2}
    agents = [
        {"name": f"agent-{number}", "source": ORDERS, "pool": pool, "replicas": {"min": 1, "max": 1}}
        for number in range(21)
    ]
    before = record_with("dev", with_agents(*agents[:20]))
    after = record_with("dev", with_agents(*agents))
    for agent in agents[:20]:
        assert own(before, str(agent["name"])) == own(after, str(agent["name"]))


def test_an_agent_with_pods_and_permissions_of_its_own_changes_what_agents_share_in_its_own_place_alone() -> (
    None
):
    pool = {"maxSize": 2}
    agents = [
        {"name": f"agent-{number}", "image": IMAGE, "pool": pool, "replicas": {"min": 1, "max": 1}}
        for number in range(20)
    ]
    demanding = {
        "name": "demanding",
        "image": IMAGE,
        "pool": pool,
        "replicas": {"min": 1, "max": 1},
        "model": "bedrock:amazon.nova-pro-v1:0",
        "permissions": [{"actions": ["s3:GetObject"], "resources": ["arn:aws:s3:::reports/*"]}],
        "egress": [{"cidr": "10.60.4.0/24", "ports": [5432]}],
        "pod": {"nodeSelector": {"team": "research"}, "ephemeralStorage": "1Gi"},
    }
    without = record_with("dev", with_agents(*agents))
    having = record_with("dev", with_agents(*agents, demanding))
    gone = without.resources.keys() - having.resources.keys()
    differing = {
        resource.name
        for urn, resource in without.resources.items()
        if urn in having.resources and resource.inputs != having.resources[urn].inputs
    }
    assert gone == set()
    # The quota has room for it, and its login to the cache joins the others'.
    assert differing == {"namespace-quota", "cache-users"}


def test_what_an_agent_says_of_its_image_goes_before_the_defaults() -> None:
    settings = with_agents({"name": "ready", "image": IMAGE}, {"name": "built"}, defaults={"source": ORDERS})
    loaded = {agent.name: agent for agent in load(settings, stack="dev").agents}
    assert (loaded["ready"].image, loaded["ready"].source) == (IMAGE, None)
    assert (loaded["built"].image, loaded["built"].source) == (None, ORDERS)


def test_an_image_and_a_source_at_once_are_refused() -> None:
    (line,) = [
        line
        for line in refused(with_agents({"name": "x", "source": ORDERS, "image": IMAGE}))
        if "both" in line
    ]
    assert "remove image" in line


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "cannot be read"),
        ({"langgraph.json": '{"graphs": {"a": "./src/graph.ts:graph"}}'}, "JavaScript"),
        ({"langgraph.json": '{"graphs": {"a": "./graph.py:graph"}, "stor": {}}'}, 'did you mean "store"'),
        ({"langgraph.json": '{"graphs": {"a": "./graph.py:graph"}}'}, "there is no file"),
    ],
)
def test_a_project_that_cannot_be_built_is_a_problem_of_the_stack_file(
    tmp_path: Path, files: dict[str, str], words: str
) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    lines = refused(with_agents({"name": "x", "source": str(tmp_path)}))
    assert any("agents[1].source" in line for line in lines)
    assert any(words in line for line in lines), lines


def test_names_of_an_env_file_have_to_come_from_the_stack(tmp_path: Path) -> None:
    (tmp_path / "graph.py").write_text("graph = None")
    (tmp_path / "langgraph.json").write_text('{"graphs": {"a": "./graph.py:graph"}, "env": ".env"}')
    (tmp_path / ".env").write_text("TAVILY_API_KEY=hunter2\nREGION=north\nMODEL=x\n")
    agent: dict[str, Any] = {"name": "x", "source": str(tmp_path)}
    lines = "\n".join(refused(with_agents(agent)))
    assert "sets REGION, TAVILY_API_KEY" in lines
    assert "hunter2" not in lines
    secrets = [{"name": "API_KEYS", "source": "generated"}, {"name": "TAVILY_API_KEY", "source": "manual"}]
    load(with_agents({**agent, "env": {"REGION": "south"}, "secrets": secrets}), stack="dev")
