"""Images that are pushed into an ECR repository that somebody else made: `image.repository`."""

from typing import Any

import pytest

from images.resolution import Resolution
from sandbox.emulated.lookups import LOOKUPS
from stacks import agent_image
from stacks.loading import SettingsError, load
from tests.conftest import record_with
from tests.stacks.test_agent_sources import BUILD, ORDERS, with_agents

TOKEN = "aws:ecr/getRepository:getRepository"
URL = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/team/agents"


@pytest.fixture(autouse=True)
def resolved(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    found = Resolution("idna==3.10 \\\n    --hash=sha256:00\n", "", locked=False)
    monkeypatch.setattr("images.context.resolve", lambda *_: found)
    monkeypatch.setattr(agent_image, "CONTEXTS", tmp_path / "contexts")


def into_theirs(**changed: Any) -> dict[str, Any]:
    image = {"repository": "team/agents", **changed}
    return with_agents({"name": "orders", "source": ORDERS}, image=image)


def test_all_images_of_a_stack_go_into_the_one_repository_each_under_a_tag_of_its_own() -> None:
    recording = record_with("dev", into_theirs())
    tags = {build.name: build.inputs["tags"] for build in recording.of_type(BUILD)}
    assert tags == {"image-build": [f"{URL}:deployed"], "orders-image-build": [f"{URL}:deployed-orders"]}
    assert all(image.startswith(f"{URL}@sha256:") for image in recording.outputs["images"].values())


def test_nothing_of_the_repository_is_made_or_changed() -> None:
    recording = record_with("dev", into_theirs())
    assert not [r for r in recording.resources.values() if r.type.startswith("aws:ecr/")]
    assert not [r for r in recording.resources.values() if r.name in ("images-key-key", "image-key")]


@pytest.mark.parametrize(
    ("mutability", "filters", "refused"),
    [
        ("MUTABLE", [], False),
        ("IMMUTABLE", [], True),
        ("IMMUTABLE_WITH_EXCLUSION", ["deployed*"], False),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest"], True),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], False),
        ("MUTABLE_WITH_EXCLUSION", ["*"], True),
    ],
)
def test_a_repository_whose_tag_cannot_move_is_refused_before_the_second_push_is(
    monkeypatch: pytest.MonkeyPatch, mutability: str, filters: list[str], refused: bool
) -> None:
    ask = LOOKUPS[TOKEN]
    answer = {
        "imageTagMutability": mutability,
        "imageTagMutabilityExclusionFilters": [{"filter": f, "filterType": "WILDCARD"} for f in filters],
    }
    monkeypatch.setitem(LOOKUPS, TOKEN, lambda args: {**ask(args), **answer})
    if refused:
        with pytest.raises(Exception, match=r"team/agents, whose tag deployed.* cannot be moved"):
            record_with("dev", into_theirs())
    else:
        record_with("dev", into_theirs())


@pytest.mark.parametrize(
    ("image", "words"),
    [
        ({"keep": 5}, "remove keep"),
        ({"repository": "https://x/y"}, "such as team/agents"),
    ],
)
def test_what_cannot_be_right_is_refused(image: dict[str, Any], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(into_theirs(**image), stack="dev")
