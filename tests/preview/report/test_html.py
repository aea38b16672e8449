"""The report to look at: whole in one file, and sound in a real browser."""

import os
import re
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from preview.recording.program import make_plan
from preview.report import html
from preview.report.picture import draw
from preview.report.review import Review, review
from tests.browser import BROWSER, result_of
from tests.preview.projects import ROOT, project, project_plan


@cache
def _review(stack: str) -> Review:
    return review(project_plan(stack), ROOT)


def test_it_loads_nothing_and_forbids_loading() -> None:
    text = html.render(_review("dev"))
    assert "default-src 'none'" in text
    assert re.findall(r'(?:src|href)="(?!#|data:)([^"]*)"', text) == []
    assert "@import" not in text
    assert "url(#tip)" in text
    assert re.findall(r"url\((?!#)", text) == []


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.links: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.ids += [i for i in [values.get("id")] if i]
        self.links += [h.removeprefix("#") for h in [values.get("href")] if h and h.startswith("#")]
        if tag not in {"meta", "link", "input", "br", "path", "rect"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in {"path", "rect"}:
            return
        assert self.open.pop() == tag

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Closes itself."""


def test_every_element_is_closed_and_every_link_leads_somewhere() -> None:
    page = _Page()
    page.feed(re.sub(r"<path[^>]*?[^/]>(<title>.*?</title>)</path>", r"\1", html.render(_review("prod"))))
    assert page.open == []
    assert len(page.ids) == len(set(page.ids))
    assert set(page.links) <= set(page.ids)


def test_no_secret_and_no_markup_of_a_stack_gets_into_the_page() -> None:
    plan = project_plan("dev")
    config_map = plan.named("support-workload-config")
    inputs = {**config_map.inputs, "data": {"X": "</pre><script>alert(1)</script>"}}
    hostile = replace(plan, resources={**plan.resources, config_map.urn: replace(config_map, inputs=inputs)})
    text = html.render(replace(_review("dev"), plan=hostile))
    assert "<script>alert(1)" not in text
    assert text.count("<script>") == 1


def test_what_deserves_reading_is_open_and_what_is_only_new_or_gone_is_folded(tmp_path: Path) -> None:
    text = html.render(_with_changes(tmp_path, lambda s: s["agents"][0].update(name="helper")))
    changes = text[text.index('id="changes"') : text.index('id="architecture"')]
    table, folded = changes.split("New and gone, by component")
    table = table[table.index("<tbody>") :]
    assert "support-database-uri-entry" in table
    assert "Lost: " in table
    assert "support-workload-deployment" not in table
    assert "helper-workload-deployment" not in table
    assert re.findall(r'tag (\w+)">\w+</span> <b>helper</b>', folded) == ["created"]
    assert re.findall(r'tag (\w+)">\w+</span> <b>support</b>', folded) == ["deleted"]


def test_nothing_lies_on_the_way_from_the_load_balancer_to_the_pods() -> None:
    for stack in ("dev", "prod"):
        cards = draw(project_plan(stack), _review(stack).exposure).cards
        [entry] = [card for card in cards if card.style == "entry"]
        top = min(card.y for card in cards if card.style == "agent")
        assert [card.title for card in cards if entry.bottom < card.bottom and card.y < top] == [
            card.title
            for card in cards
            if card.style in ("outside", "service") and card.bottom > entry.bottom and card.y < top
        ]


def test_the_picture_shows_zones_copies_and_who_reaches_what() -> None:
    picture = draw(project_plan("prod"), _review("prod").exposure)
    assert [area.title for area in picture.areas if area.style == "zone"] == [
        "eu-central-1a",
        "eu-central-1b",
        "eu-central-1c",
    ]
    titles = [card.title for card in picture.cards]
    assert titles.count("NAT gateway") == 3
    assert (titles.count("standby"), titles.count("replica")) == (1, 2)
    assert {"Internet", "Operators", "support", "research", "PostgreSQL 17", "Valkey 8.1"} <= set(titles)
    labels = [arrow.label for arrow in picture.arrows]
    assert (labels.count("requests"), labels.count("5432/tcp"), labels.count("6379/tcp")) == (2, 2, 2)


def test_cards_of_the_picture_do_not_lie_on_each_other() -> None:
    for stack in ("dev", "prod"):
        cards = draw(project_plan(stack), _review(stack).exposure).cards
        for number, one in enumerate(cards):
            for other in cards[number + 1 :]:
                apart = (
                    one.right <= other.x
                    or other.right <= one.x
                    or one.bottom <= other.y
                    or other.bottom <= one.y
                )
                assert apart, (one.title, other.title)


_PROBE = """
<script>
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
window.addEventListener("load", async () => {
  const rows = [...document.querySelectorAll("details.resource")];
  const shown = () => rows.filter((row) => !row.hidden).length;
  const press = (key) => document.dispatchEvent(new KeyboardEvent("keydown", {key, bubbles: true}));
  const result = {all: rows.length, errors: window.problems};
  const search = document.getElementById("search");
  document.body.dispatchEvent(new KeyboardEvent("keydown", {key: "/", bubbles: true}));
  result.slashFocuses = document.activeElement === search;
  search.value = "support deployment";
  search.dispatchEvent(new Event("input"));
  result.found = rows.filter((row) => !row.hidden).map((row) => row.querySelector("summary").innerText);
  result.opened = document.querySelector("details.group:not([hidden])").open;
  search.dispatchEvent(new KeyboardEvent("keydown", {key: "Escape", bubbles: true}));
  result.afterEscape = shown();
  document.getElementById("collapse").click();
  result.collapsed = document.querySelectorAll("details.group[open]").length;
  document.getElementById("expand").click();
  result.expanded = document.querySelectorAll("details.group[open]").length;
  const before = document.documentElement.dataset.theme;
  const light = getComputedStyle(document.body).backgroundColor;
  document.getElementById("theme").click();
  result.themes = [before, document.documentElement.dataset.theme];
  result.repainted = light !== getComputedStyle(document.body).backgroundColor;
  result.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  result.unlabelled = [...document.querySelectorAll("input, button, svg[role=img]")].filter((element) =>
    !(element.getAttribute("aria-label") || element.getAttribute("aria-labelledby") || element.innerText)).length;
  result.requests = performance.getEntriesByType("resource").map((entry) => entry.name);
  const target = rows[rows.length - 1];
  location.hash = target.id;
  await wait(50);
  result.revealed = target.open && target.parentElement.open;
  document.title = "RESULT" + JSON.stringify(result);
});
</script>
"""
_CATCH = """<script>
window.problems = [];
window.addEventListener("error", (event) => window.problems.push(event.message));
document.addEventListener("securitypolicyviolation", (event) => window.problems.push(event.violatedDirective));
const original = console.error;
console.error = (...words) => { window.problems.push(words.join(" ")); original(...words); };
</script>"""


@pytest.mark.skipif(
    BROWSER is None and not os.environ.get("CI"),
    reason="no Chromium: apt install chromium, then run it again",
)
@pytest.mark.parametrize("width", [1280, 500])
def test_it_works_in_a_browser_without_an_error_or_a_request(tmp_path: Path, width: int) -> None:
    text = html.render(_with_changes(tmp_path))
    page = tmp_path / "report.html"
    page.write_text(text.replace("<body>", f"<body>{_CATCH}", 1).replace("</body>", f"{_PROBE}</body>", 1))
    result, logged = result_of(page.as_uri(), tmp_path / "profile", width=width, budget_ms=5_000)
    assert "CONSOLE" not in logged
    assert result["errors"] == []
    assert result["requests"] == []
    assert result["slashFocuses"]
    assert result["opened"]
    assert any("support-workload-deployment" in row for row in result["found"])
    assert 0 < len(result["found"]) < result["all"] == result["afterEscape"]
    assert result["collapsed"] == 0 < result["expanded"]
    assert sorted(result["themes"]) == ["dark", "light"]
    assert result["repainted"]
    assert result["overflow"] <= 0
    assert result["unlabelled"] == 0
    assert result["revealed"]


def _resized(settings: dict[str, Any]) -> None:
    settings["database"].update(instanceClass="db.m7g.large")


def _with_changes(folder: Path, change: Callable[[dict[str, Any]], None] = _resized) -> Review:
    """A report with everything in it: a base, and a change that says much."""
    inner = folder / "project"
    inner.mkdir()
    base = project_plan("dev")
    plan = make_plan("dev", project(inner, settings=change), base)
    return review(plan, inner, base, "main")
