"""The page at `/`, as a person uses it: in a real browser."""

import json
import os
from pathlib import Path

import pytest

import langgraph_agents_service.api
from tests.browser import BROWSER, result_of
from tests.service.serving import KEY, serving

_PAGE = (Path(langgraph_agents_service.api.__file__).parent / "page.html").read_text()
_BEFORE = f"""<script>
window.problems = [];
window.addEventListener("error", (event) => window.problems.push(event.message));
window.addEventListener("unhandledrejection", (event) => window.problems.push(String(event.reason)));
document.addEventListener("securitypolicyviolation", (event) => window.problems.push(event.violatedDirective));
sessionStorage.setItem("key", {json.dumps(KEY.partition(":")[2])});
</script>"""
_AFTER = """<script>
(async () => {
  const result = {};
  const until = async (what, holds) => {
    for (let tries = 0; tries < 3000; tries++) {
      if (holds()) return;
      await fetch("/health");  // the browser's clock stands still for a request, and for nothing else
    }
    throw new Error(`never: ${what}: ${document.body.innerText}`);
  };
  const all = (selector) => [...document.querySelectorAll(selector)];
  const says = (text) => () => $("log").innerText.includes(text);
  const say = (text) => { $("text").value = text; $("form").requestSubmit(); };
  try {
    await until("graphs", () => all("#graph option").length);
    $("graph").value = "agent";
    say("What is (2 + 3) * 4?");
    await until("a tool call", says('calls calculate({"expression":"(2 + 3) * 4"})'));
    await until("its answer", says("The calculate tool says: 20"));
    await until("checkpoints", () => all("#history .entry").length >= 5);
    await until("a thread", () => all("#threads .entry").length === 1);
    result.threads = all("#threads .entry").map((entry) => entry.firstChild.textContent);
    all("#history .entry")[0].click();
    await until("a state", () => all("#history pre").length);
    result.state = JSON.parse(all("#history pre")[0].textContent).messages.length;
    say("Remember that I like tea");
    await until("a question", () => all(".ask button").length === 2);
    all(".ask button")[0].click();
    await until("approval", says("Noted: I like tea"));
    $("new").click();
    say("Remember that I like coffee");
    await until("another question", () => all(".ask button").length === 2);
    all(".ask button")[1].click();
    await until("rejection", says("The person declined."));
    await until("two threads", () => all("#threads .entry").length === 2);
    all("#threads .entry")[1].click();
    await until("the first thread again", says("Noted: I like tea"));
    result.overflow = document.documentElement.scrollWidth - document.documentElement.clientWidth;
    result.cut = all(".entry").filter((entry) => entry.scrollWidth > entry.clientWidth).length;
  } catch (error) { window.problems.push(error.message); }
  result.problems = window.problems;
  document.title = "RESULT" + JSON.stringify(result);
})();
</script>"""


@pytest.mark.skipif(
    BROWSER is None and not os.environ.get("CI"),
    reason="no Chromium: apt install chromium, then run it again",
)
@pytest.mark.parametrize("width", [1280, 500])
def test_a_person_talks_to_the_agent_approves_and_looks_at_checkpoints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    page = _PAGE.replace("<body>", f"<body>{_BEFORE}", 1).replace("</body>", f"{_AFTER}</body>", 1)
    (tmp_path / "page.html").write_text(page)
    monkeypatch.setattr("langgraph_agents_service.api.meta.files", lambda _package: tmp_path)
    with serving(checkpointer="memory") as served:
        result, logged = result_of(served.url, tmp_path / "profile", width=width, budget_ms=30_000)
    assert result["problems"] == []
    assert "CONSOLE" not in logged
    assert result["threads"] == ["What is (2 + 3) * 4?"]
    assert result["state"] == 4
    assert result["overflow"] <= 0
    assert result["cut"] == 0
