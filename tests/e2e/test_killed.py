"""`make up`, killed at any moment of a first deployment, goes on from what there is.

KILLS (6 unless given) kills on simulated nodes, and a third as many on real ones, are spread evenly over an undisturbed
run: the control plane's start, the definitions, the preview, the update, the end. The full round is KILLS=38.
"""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.common.errors import InputError
from sandbox.engine import checkpoint
from sandbox.machine.choice import Nodes, choose
from tests.e2e.harness import Sandbox

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(5400)]

KILLS = {"simulated": int(os.environ.get("KILLS", "6")), "real": -(-int(os.environ.get("KILLS", "6")) // 3)}


@pytest.fixture(params=["simulated", "real"])
def sandbox(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """The small program, whose sandbox ends with the test."""
    folder: Path = tmp_path_factory.mktemp(f"killed-{request.param}")
    if request.param == "real":
        try:
            choose(Nodes.REAL, (folder,))
        except InputError as obstacle:
            pytest.skip(str(obstacle))
    shutil.copytree(Path(__file__).parent / "programs" / "small", folder / "project")
    sandbox = Sandbox(folder / "project", folder / "state", nodes=request.param)
    yield sandbox
    sandbox.run("down")


def _deployed(sandbox: Sandbox) -> tuple[set[str], set[str]]:
    """URNs of the engine's record, and the program's own objects in the cluster."""
    record = json.loads(sandbox.record("small"))["checkpoint"]["latest"]
    assert not record.get("pending_operations")
    urns = [resource["urn"] for resource in checkpoint.read(sandbox.state.checkpoint("small")).resources]
    assert len(urns) == len(set(urns)), "a resource is there twice"
    kinds = "configmap,secret,deployment,job,service,middleware.traefik.io"
    return set(urns), {
        f"{live['kind']}/{live['metadata'].get('generateName') or live['metadata']['name'].rpartition('-')[0]}"
        f"/{len(live['metadata'].get('ownerReferences', []))}"
        for live in sandbox.objects(kinds)
        if live["metadata"]["namespace"] == "small"
    }


def test_up_goes_on_from_wherever_it_was_killed(sandbox: Sandbox) -> None:
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
        assert _deployed(sandbox) == wanted, when
        again = sandbox.run("up")
        assert "No changes" in again.out, f"{when}:\n{again.out}"
        ours = sandbox.processes()
        assert sandbox.run("down").code == 0, when
        assert not [process for process in ours if process.is_running()], when
        print(f"{when}: {done.seconds:.1f} s to go on", flush=True)
