"""The command: what it prints and writes, and what it says of bad input."""

import json
import os
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from simulate.__main__ import main
from tests.browser import BROWSER, result_of
from tests.preview.projects import project


def _trace(folder: Path, *lines: str) -> Path:
    path = folder / "spike.csv"
    path.write_text("second,requests_per_minute,run_seconds,cpu_seconds\n" + "\n".join(lines) + "\n")
    return path


def _run(*arguments: object, capsys: pytest.CaptureFixture[str]) -> tuple[int, str, str]:
    code = main([str(argument) for argument in arguments])
    said = capsys.readouterr()
    return code, said.out, said.err


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.plots: list[str] = []
        self.paths: list[str] = []
        self.targets: set[str] = set()
        self.links: list[str] = []

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        named = dict(attributes)
        self.targets.add(named.get("id") or "")
        if tag == "a":
            self.links.append(named.get("href") or "")
        if tag == "svg":
            self.plots.append(named.get("aria-label") or "")
        if tag == "path":
            self.paths.append(named.get("d") or "")


def test_a_replay_is_shown_in_a_table_and_on_a_page_beside_the_documents_strategy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, path = project(tmp_path), _trace(tmp_path, "0,30,20,0.8", "600,300,20,0.8", "3600,0,20,0.8")
    pages = []
    for _ in range(2):
        code, out, _err = _run("--project", folder, "--trace", path, capsys=capsys)
        assert code == 0
        assert "this stack  the document's ScalingStrategy" in out
        assert re.search(r"support: pods wanted +1 to 3 +1 to 3", out)
        pages.append((folder / "build" / "simulate" / "dev-spike.html").read_text())
    assert pages[0] == pages[1]
    page = _Page()
    page.feed(pages[0])
    charts = ["pods", "runs", "seconds from request to end", "nodes"]
    assert [label.split(",")[0] for label in page.plots] == [chart for chart in charts for _ in range(2)]
    # Every chart has lines, and every line ends within it.
    assert len(page.paths) == 16
    assert all(re.fullmatch(r"M[\d. ]+(L[\d. ]+)+", path) for path in page.paths)
    assert {link.removeprefix("#") for link in page.links} <= page.targets
    # It loads nothing.
    assert "default-src 'none'" in pages[0]
    assert "src=" not in pages[0]
    assert not [link for link in page.links if not link.startswith("#")]


_PROBE = """<script>
const problems = [];
window.addEventListener("error", (event) => problems.push(event.message));
document.addEventListener("securitypolicyviolation", (event) => problems.push(event.violatedDirective));
window.addEventListener("load", () => {
  const theme = document.getElementById("theme"), before = document.documentElement.dataset.theme;
  theme.click();
  const outside = [...document.querySelectorAll("path")].filter((path) => {
    const box = path.getBBox(), view = path.ownerSVGElement.viewBox.baseVal;
    return box.x < 0 || box.y < 0 || box.x + box.width > view.width || box.y + box.height > view.height;
  });
  document.title = "RESULT" + JSON.stringify({
    problems, outside: outside.length, requests: performance.getEntriesByType("resource").length,
    changed: before !== document.documentElement.dataset.theme,
    overflow: document.documentElement.scrollWidth - window.innerWidth,
  });
});
</script>"""


@pytest.mark.skipif(
    BROWSER is None and not os.environ.get("CI"),
    reason="no Chromium: apt install chromium, then run it again",
)
@pytest.mark.parametrize("width", [1280, 500])
def test_the_page_works_in_a_browser_without_an_error_or_a_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    folder, path = project(tmp_path), _trace(tmp_path, "0,30,20,0.8", "600,3000,20,0.8", "1800,0,20,0.8")
    code, _, _ = _run("--project", folder, "--trace", path, "--out", tmp_path / "page.html", capsys=capsys)
    assert code == 0
    page = tmp_path / "page.html"
    page.write_text(page.read_text().replace("<body>", f"<body>{_PROBE}", 1))
    result, logged = result_of(page.as_uri(), tmp_path / "profile", width=width, budget_ms=3_000)
    assert "CONSOLE" not in logged
    assert result["overflow"] <= 0
    assert result == {**result, "problems": [], "outside": 0, "requests": 0, "changed": True}


def test_json_is_for_programs_and_nothing_else_is_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, path = project(tmp_path), _trace(tmp_path, "0,30,20,0.8", "900,0,20,0.8")
    code, out, _err = _run("--project", folder, "--trace", path, "--json", capsys=capsys)
    assert code == 0
    document = json.loads(out)
    ours, theirs = document["outcomes"]
    assert (ours["scaler"], theirs["scaler"]) == ("this stack", "the document's ScalingStrategy")
    (agent,) = ours["agents"]
    assert agent["submitted"] == agent["ended"] + agent["open"]
    assert len(agent["wanted"]) == len(ours["seconds"]) == len(ours["nodes"]) == 61
    assert Path(document["page"]).exists()


def test_bad_input_is_one_message_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = project(tmp_path)
    path = _trace(tmp_path, "0,-1,20,0.8", "900,0,0,0.8")
    code, _, err = _run("--project", folder, "--trace", path, capsys=capsys)
    assert code == 2
    assert "line 2, requests_per_minute: '-1'" in err
    assert "line 3, run_seconds: '0'" in err
    code, out, _ = _run("--project", folder, "--trace", "nothing", "--json", capsys=capsys)
    assert code == 2
    assert "there is no trace nothing" in json.loads(out)["error"]
    code, _, err = _run("--project", folder, "--stack", "nowhere", capsys=capsys)
    assert code == 2
    assert "nowhere" in err
    code, _, err = _run("--stak", "dev", capsys=capsys)
    assert code == 2
    assert "--help lists the options" in err
