"""The comment on a pull request."""

import re
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from policies.model import Finding, Severity
from preview.recording.program import make_plan
from preview.report import markdown
from preview.report.review import Review, review
from tests.preview.projects import ROOT, project, project_plan


@cache
def _unchanged() -> Review:
    return review(project_plan("dev"), ROOT)


@pytest.fixture
def resized(tmp_path: Path) -> Review:
    base = project_plan("dev")
    folder = project(tmp_path, settings=lambda s: s["database"].update(instanceClass="db.t4g.large"))
    return review(make_plan("dev", folder, base), folder, base, "main")


def _finding(number: int) -> Finding:
    return Finding(
        rule=f"rule-{number}",
        severity=Severity.HIGH,
        urn="urn:x",
        resource="database-instance",
        message="is wrong | <img src=x> @somebody",
        remedy="mend it",
        link="https://example.com",
    )


def test_the_first_line_tells_changes_cost_and_policies(resized: Review) -> None:
    first = markdown.render(resized).splitlines()[0]
    changes, cost, policies = first.split(" · ")
    assert changes == "**+0 ~2 ±0 -0**"
    assert re.fullmatch(r"cost \+\$[\d.,]+(?: to \+\$[\d,]+)? a month", cost)
    assert policies == "policies: all hold"


def test_findings_are_counted_on_the_first_line(resized: Review) -> None:
    text = markdown.render(replace(resized, findings=[_finding(1), _finding(2)]))
    assert "policies: 2 findings" in text.splitlines()[0]


def test_with_a_base_nothing_is_listed_but_what_changes(resized: Review) -> None:
    text = markdown.render(resized)
    assert "database-instance" in text
    assert "instanceClass`: `db.t4g.medium` → `db.t4g.large" in text
    assert (
        "**instanceClass: restart, 5 minutes, in the maintenance window: connections are cut and made again**"
        in text
    )
    assert "### Order and time of this change: 1 min" in text
    assert re.search(r"\| after \d+ s \| 1 min \| database-instance is updated \|  \|", text)
    assert (
        "- **Later:** database-instance: restart, 5 minutes, in the maintenance window (sun:03:30-sun:04:30)"
        in text
    )
    assert "network-vpc" not in text
    assert "traefik" not in text


def test_state_comes_before_everything_else(resized: Review) -> None:
    text = markdown.render(resized)
    assert text.index("State and protection first") < text.index("### Impact") < text.index("<details>")


def test_without_a_base_the_whole_stack_is_listed_by_component() -> None:
    text = markdown.render(_unchanged())
    assert "What the internet reaches" in text
    for component in ("network", "database", "support"):
        assert f"<b>{component}</b>" in text


@pytest.mark.parametrize("limit", [65_536, 20_000, 3_000])
def test_it_never_exceeds_what_a_comment_holds(limit: int) -> None:
    many = replace(_unchanged(), findings=[_finding(number) for number in range(800)])
    text = markdown.render(many, limit)
    assert len(text) <= limit
    assert "left out: a comment holds" in text
    assert text.splitlines()[0].endswith("policies: 800 findings")
    assert text.count("<details>") == text.count("</details>")


def test_what_fits_is_not_cut() -> None:
    assert "left out" not in markdown.render(_unchanged())


def test_nothing_of_a_stack_becomes_markup_or_calls_anybody() -> None:
    text = markdown.render(replace(_unchanged(), findings=[_finding(1)]))
    html = MarkdownIt("gfm-like", {"linkify": False}).render(text)
    assert "<img" not in html
    assert "@somebody" not in html
    assert html.count("<details>") == html.count("</details>")
    assert "<table>" in html
