"""LangGraph projects that are deployed by `source` alone: on real pods, each with its right answer by TLS."""

import json
import shutil
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from sandbox.cluster import agents
from sandbox.cluster.agents import Reached
from sandbox.cluster.api import Api
from sandbox.cluster.controlplane import running_endpoint
from sandbox.common import addresses
from stacks.service import SECRETS_DIR
from tests.e2e.harness import ROOT, Sandbox, needs_a_real_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1800)]

SHARED = next((p for up in ROOT.parents[:2] if (p := up / "shared" / "projects").is_dir()), None)
PRICES = "src/shop/prices.py"


@pytest.fixture(scope="module")
def deployed(product: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The development stack with two agents that are made of projects."""
    folder = tmp_path_factory.mktemp("sources")
    needs_a_real_node(folder)
    project = folder / "project"
    shutil.copytree(product.project, project)
    sandbox = Sandbox(project, folder / ".sandbox", nodes="real")
    shutil.copytree(project / "examples" / "orders", folder / "other")

    def two_agents(settings: dict[str, Any]) -> None:
        settings["agents"] = [
            {"name": "orders", "host": "orders.dev.agents.example.com", "source": "examples/orders"},
            {"name": "other", "host": "other.dev.agents.example.com", "source": str(folder / "other")},
        ]

    sandbox.edit(two_agents)
    try:
        sandbox.up()
        yield sandbox
    finally:
        sandbox.run("down")


def way(sandbox: Sandbox, name: str) -> Reached:
    endpoint = running_endpoint(sandbox.state)
    assert endpoint is not None
    with Api(endpoint) as api:
        (agent,) = [agent for agent in agents.find(api) if agent.name == name]
    address = addresses.ensure(sandbox.state.machine / "addresses.json").ingress
    return agent.through_ingress(str(address), sandbox.state.machine / "ingress-authority" / "ca.crt")


async def asked(way: Reached, graph: str, given: Any, **more: Any) -> Any:
    async with way.client() as client:
        answer = await client.post("/runs/wait", json={"assistant_id": graph, "input": given, **more})
        assert answer.status_code == httpx.codes.OK, answer.text
        return answer.json()


def pods(sandbox: Sandbox) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for pod in sandbox.servers():
        found.setdefault(pod["metadata"]["labels"]["app.kubernetes.io/name"], set()).add(
            pod["metadata"]["uid"]
        )
    return found


async def test_a_project_answers_and_a_changed_line_rolls_its_own_pods_alone(deployed: Sandbox) -> None:
    order = {"order": "Tea cake tea"}
    right = {"total": "8 EUR", "slug": "tea-cake-tea"}
    for name in ("orders", "other"):
        answer = await asked(way(deployed, name), "orders", order)
        assert {key: answer[key] for key in right} == right, name
    before = pods(deployed)
    prices = deployed.project / "examples" / "orders" / PRICES
    prices.write_text(prices.read_text().replace('"tea": 3', '"tea": 30'))
    deployed.up()
    after = pods(deployed)
    assert after["other"] == before["other"]
    assert not after["orders"] & before["orders"]
    assert (await asked(way(deployed, "orders"), "orders", order))["total"] == "35 EUR"
    assert (await asked(way(deployed, "other"), "orders", order))["total"] == "8 EUR"


def test_its_image_holds_no_compiler_no_pip_and_the_bill_of_what_is_in_it(deployed: Sandbox) -> None:
    (pod,) = [pod for pod in deployed.servers() if pod["metadata"]["name"].startswith("orders-")]
    script = """
import json, os, shutil
bill = json.load(open("/usr/local/share/sbom/langgraph-agent.cdx.json"))
print(json.dumps({
    "tools": [tool for tool in ("gcc", "pip", "git") if shutil.which(tool)],
    "packages": [each["name"] for each in bill["components"]],
    "user": os.getuid(),
    "writable": os.access("/project", os.W_OK),
    "bytecode": any(name.endswith(".pyc") for _, _, names in os.walk("/project") for name in names),
}))
"""
    name = pod["metadata"]["name"]
    done = deployed.kubectl(
        "exec", "-n", "langgraph-agents", name, "-c", "agent", "--", "python", "-c", script
    )
    seen = json.loads(done.stdout)
    assert seen["tools"] == []
    assert {"langgraph", "fastapi", "python-slugify"} <= set(seen["packages"])
    assert (seen["user"], seen["writable"], seen["bytecode"]) == (1000, False, True)


def test_its_database_has_the_extension_that_an_administrator_of_rds_may_make(deployed: Sandbox) -> None:
    (pod,) = [pod for pod in deployed.servers() if pod["metadata"]["name"].startswith("orders-")]
    script = f"""
import pathlib, psycopg
with psycopg.connect(pathlib.Path("{SECRETS_DIR}/DATABASE_URI").read_text()) as connection:
    connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
    print(connection.execute("SELECT '[1,2]'::vector <-> '[1,2]'").fetchone()[0])
"""
    name = pod["metadata"]["name"]
    done = deployed.kubectl(
        "exec", "-n", "langgraph-agents", name, "-c", "agent", "--", "python", "-c", script
    )
    assert done.stdout == "0.0\n"


ANSWERS: list[tuple[str, str, Any, dict[str, Any]]] = [
    ("package-named-agent", "agent", {"order": "tea cake"}, {"total": 8}),
    ("context-with-defaults", "agent", {"name": "Ann"}, {"answer": "Hello, Ann (default)"}),
    ("own-routes", "agent", {"text": "hi"}, {"text": "north: hi"}),
    ("monorepo/apps/desk", "Front desk", "Good Day", {"slug": "good-day", "words": 2, "built": True}),
    ("folder-is-the-package", "agent", {"text": "one two"}, {"text": "two one"}),
    ("approval", "sweeper", {}, {"threads": 0}),
    ("old-pins", "agent", {}, {"pydantic": "2.11.3"}),
]
"""By shared project and graph, what is asked and what of the answer is known."""


@pytest.mark.nightly
@pytest.mark.skipif(SHARED is None, reason="there is no shared/projects beside the checkout")
async def test_projects_as_people_have_them_answer_in_their_images(deployed: Sandbox) -> None:
    assert SHARED is not None
    names = {project: project.rpartition("/")[2] for project, *_ in ANSWERS}
    names |= {project: project for project in ("custom-auth", "long-term-memory")}

    def all_of_them(settings: dict[str, Any]) -> None:
        settings["agents"] = [
            {
                "name": name,
                "host": f"{name}.dev.agents.example.com",
                "source": str(SHARED / project),
                "resources": {"requests": {"cpu": "100m", "memory": "256Mi"}},
                "pool": {"maxSize": 4},
                "replicas": {"min": 1, "max": 1},
            }
            for project, name in names.items()
        ]

    deployed.edit(all_of_them)
    deployed.up()
    for project, graph, given, right in ANSWERS:
        answer = await asked(way(deployed, names[project]), graph, given)
        assert {key: answer[key] for key in right} == right, project
    await everybody_sees_their_own_alone(way(deployed, "custom-auth"))
    await notes_are_found_by_meaning(way(deployed, "long-term-memory"))


async def everybody_sees_their_own_alone(way: Reached) -> None:
    """`custom-auth`: bearer tokens, filters by metadata, an action that is refused."""
    ann, bob = ({"Authorization": f"Bearer token-of-{name}"} for name in ("ann", "bob"))
    async with way.client() as client:
        assert (await client.post("/threads", json={})).status_code == 401
        thread = (await client.post("/threads", json={}, headers=ann)).json()["thread_id"]
        run = {"assistant_id": "agent", "input": {}}
        answer = await client.post(f"/threads/{thread}/runs/wait", json=run, headers=ann)
        assert answer.json()["who"] == "ann"
        assert (await client.get(f"/threads/{thread}", headers=bob)).status_code == 404
        assert (await client.post("/threads/search", json={}, headers=bob)).json() == []
        assert (await client.delete(f"/threads/{thread}", headers=ann)).status_code == 403


async def notes_are_found_by_meaning(way: Reached) -> None:
    """`long-term-memory`: a store with an index, whose extension the migration makes."""
    for text in ("banana", "pepper"):
        await asked(way, "agent", {"text": text})
    found = (await asked(way, "agent", {"text": "papaya"}))["found"]
    assert "papaya" in found
    assert "banana" in found
    assert "pepper" not in found
