"""The nodes with all pods on them."""

from functools import cache
from pathlib import Path

import pytest

from preview.recording.program import make_plan
from preview.report import html, markdown
from preview.report.review import Review, review
from tests.preview.projects import ROOT, project, project_plan


@cache
def _review(stack: str) -> Review:
    return review(project_plan(stack), ROOT)


@pytest.mark.parametrize(("stack", "used", "most"), [("dev", 2, 4), ("prod", 4, 9)])
def test_as_many_nodes_are_shown_as_the_pods_take_at_their_most(stack: str, used: int, most: int) -> None:
    nodes = _review(stack).nodes
    assert nodes is not None
    assert len(nodes.rows) == used
    assert f"{used} of the {most} nodes that there may be" in nodes.summary
    assert nodes.left_over == []
    for row in nodes.rows:
        end = row.segments[-1]
        assert row.segments[0].name == "on every node"
        assert end.left + end.width <= 100.1


def test_every_pod_of_an_agent_stands_on_one_of_them() -> None:
    nodes = _review("prod").nodes
    assert nodes is not None
    pods = [part for row in nodes.rows for part in row.segments]
    assert sum(part.pods for part in pods if part.name == "support") == 10
    assert sum(part.pods for part in pods if part.name == "research (new revision)") == 1


def test_what_has_no_room_is_told_in_each_report(tmp_path: Path) -> None:
    folder = project(tmp_path, settings=lambda s: s["agents"][0].update(replicas={"min": 1, "max": 30}))
    crowded = review(make_plan("dev", folder), folder)
    nodes = crowded.nodes
    assert nodes is not None
    assert any(left.endswith(" of support") for left in nodes.left_over)
    for left in nodes.left_over:
        assert left in html.render(crowded)
        assert f"**No room:** {left}" in markdown.render(crowded)
    assert [finding.rule for finding in crowded.findings] == ["pods-fit-nodes"]


def test_a_stack_without_node_groups_says_that_its_nodes_are_made_to_fit(tmp_path: Path) -> None:
    folder = project(tmp_path, settings=lambda s: s.update(cluster={"compute": "auto-mode"}))
    auto = review(make_plan("dev", folder), folder)
    assert auto.nodes is None
    assert "Nodes are started to fit the pods" in html.render(auto)
