"""What LangGraph's clients ask of a server before anything else, and the page of the API."""

import json
import subprocess
from pathlib import Path

import httpx
import pytest
from langgraph.version import __version__ as langgraph_version

import langgraph_agents_service.api
from tests.browser import BROWSER, FLAGS
from tests.service.serving import GRAPHS, KEY, Served, serving


def test_info_says_versions_and_abilities_without_a_key(in_memory: Served) -> None:
    answer = httpx.get(f"{in_memory.url}/info")
    assert answer.status_code == 200
    found = answer.json()
    assert found["version"]
    assert found["langgraph_py_version"] == langgraph_version
    assert found["flags"]["assistants"] is True
    assert found["flags"]["langsmith"] is False
    assert found["host"] == {
        "kind": "self-hosted",
        "project_id": None,
        "host_revision_id": None,
        "revision_id": None,
        "tenant_id": None,
    }


def test_info_says_of_crons_whether_there_are_any(in_memory: Served) -> None:
    with httpx.Client(base_url=in_memory.url, headers={"X-API-Key": KEY.partition(":")[2]}) as http:
        there = http.post("/runs/crons", json={}).status_code != 501
        assert http.get("/info").json()["flags"]["crons"] is there


def test_a_page_of_another_site_learns_nothing_of_a_service_without_keys() -> None:
    with serving(checkpointer="memory", api_keys="") as served:
        for path in ("/info", "/docs"):
            assert httpx.get(served.url + path).status_code == 200
            assert httpx.get(served.url + path, headers={"Host": "evil.example"}).status_code == 403


def test_the_page_of_the_api_is_open_but_what_it_shows_needs_a_key(in_memory: Served) -> None:
    answer = httpx.get(f"{in_memory.url}/docs")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/html")
    assert answer.headers["content-security-policy"].startswith("default-src 'none'")
    assert "://" not in answer.text, "nothing comes from other hosts"
    assert "/threads" not in answer.text
    assert httpx.get(f"{in_memory.url}/openapi.json").status_code == 401


def _configured(folder: Path, **http: bool) -> Path:
    document = json.loads(GRAPHS.read_text())
    graphs = {"steps": f"{GRAPHS.parent}/steps.py:builder"}
    path = folder / "langgraph.json"
    path.write_text(json.dumps({**document, "dependencies": [], "graphs": graphs, "http": http}))
    return path


def test_disable_meta_takes_the_description_of_the_server_away(tmp_path: Path) -> None:
    config = _configured(tmp_path, disable_meta=True)
    with serving(checkpointer="memory", langgraph_config=config) as served:
        for path in ("/info", "/docs", "/openapi.json"):
            headers = {"X-API-Key": KEY.partition(":")[2]}
            assert httpx.get(served.url + path, headers=headers).status_code == 404
            assert httpx.get(served.url + path).status_code == 401
        assert httpx.get(f"{served.url}/ok").status_code == 200


def test_info_says_that_assistants_are_disabled(tmp_path: Path) -> None:
    config = _configured(tmp_path, disable_assistants=True)
    with serving(checkpointer="memory", langgraph_config=config) as served:
        assert httpx.get(f"{served.url}/info").json()["flags"]["assistants"] is False


@pytest.mark.skipif(BROWSER is None, reason="there is no Chromium here")
def test_the_page_shows_every_operation_in_a_browser(in_memory: Served, tmp_path: Path) -> None:
    headers = {"X-API-Key": KEY.partition(":")[2]}
    document = httpx.get(f"{in_memory.url}/openapi.json", headers=headers).json()
    operations = [f"{m} {path}" for path, methods in document["paths"].items() for m in methods]
    text = (Path(langgraph_agents_service.api.__file__).parent / "docs.html").read_text()
    script = f"const given = {json.dumps(document)};"
    page = text.replace("load();\n</script>", "show(given);\n</script>").replace(
        '"use strict";', f'"use strict"; {script}'
    )
    assert "show(given);" in page
    path = tmp_path / "page.html"
    path.write_text(page)
    assert BROWSER is not None
    done = subprocess.run(
        [BROWSER, *FLAGS, f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", path.as_uri()],
        capture_output=True,
        text=True,
        timeout=60,
    )
    for operation in operations:
        method, _, route = operation.partition(" ")
        assert f"<b>{method}</b> {route}<" in done.stdout, operation
