"""`make up`, killed at any moment of a first deployment, goes on from what there is.

KILLS (6 unless given) kills on simulated nodes, and a third as many on real ones, are spread evenly over an undisturbed
run: the control plane's start, the definitions, the preview, the update, the end. The full round is KILLS=38.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.engine import checkpoint, stackfile
from tests.e2e.harness import Sandbox, alive, needs_a_real_node

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(5400)]

KILLS = {"simulated": int(os.environ.get("KILLS", "6")), "real": -(-int(os.environ.get("KILLS", "6")) // 3)}


@pytest.fixture
def simulated(small: Sandbox, tmp_path: Path) -> Iterator[Sandbox]:
    """The small program on simulated nodes."""
    sandbox = Sandbox(small.project, tmp_path / "state")
    yield sandbox
    sandbox.run("down")


@pytest.fixture
def real(product: Sandbox, tmp_path: Path) -> Iterator[Sandbox]:
    """The product on a real node."""
    needs_a_real_node(tmp_path)
    sandbox = Sandbox(product.project, tmp_path / "state", nodes="real")
    yield sandbox
    sandbox.run("down")


def _deployed(sandbox: Sandbox) -> tuple[list[str], list[str]]:
    """URNs of the engine's record, and the program's own objects in the cluster, numbers in their names left out."""
    project = stackfile.project_name(sandbox.project)
    record = json.loads(sandbox.record(project))["checkpoint"]["latest"]
    assert not record.get("pending_operations")
    urns = [resource["urn"] for resource in checkpoint.read(sandbox.state.checkpoint(project)).resources]
    kinds = "configmap,secret,deployment,job,service,ingress,middleware.traefik.io"
    objects = [
        f"{live['kind']} {re.sub(r'-[0-9a-f]{8}$', '', live['metadata']['name'])}"
        for live in sandbox.objects(kinds)
        if any(entry["manager"] == "pulumi" for entry in live["metadata"].get("managedFields", ()))
    ]
    return sorted(urns), sorted(objects)


@pytest.mark.parametrize("nodes", ["simulated", "real"])
def test_up_goes_on_from_wherever_it_was_killed(request: pytest.FixtureRequest, nodes: str) -> None:
    sandbox: Sandbox = request.getfixturevalue(nodes)
    sandbox.up()  # so that what is built or cached once is not part of the measure
    sandbox.run("down")
    undisturbed = sandbox.up()
    wanted = _deployed(sandbox)
    sandbox.run("down")
    kills = KILLS[sandbox.nodes]
    for number in range(kills):
        after = undisturbed.seconds * (number + 0.5) / kills
        at = sandbox.killed(after)
        done = sandbox.run("up")
        when = f"killed after {after:.1f} s of {undisturbed.seconds:.1f}, at {at!r}"
        assert done.code == 0, f"{when}:\n{done.out}"
        assert _deployed(sandbox) == wanted, (
            when
        )  # as often as undisturbed: nothing twice, nothing left behind
        again = sandbox.run("up")
        assert "No changes" in again.out, f"{when}:\n{again.out}"
        ours = sandbox.processes()
        assert sandbox.run("down").code == 0, when
        assert not alive(ours), when
        print(f"{when}: {done.seconds:.1f} s to go on", flush=True)
