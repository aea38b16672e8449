"""The folder that `python -m compose` writes."""

import json
import os
import shutil
import ssl
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from compose.__main__ import main
from compose.problems import check_file
from compose.secret_files import keep, of_migration, of_server
from compose.writing import write
from langgraph_agents_service.projects.config import ProjectError
from stacks.of_stack import read_stack
from stacks.reading import read
from tests.compose.compose_stacks import stack_with

FILES = {"compose.yaml", "compose.dev.yaml", "nginx.conf", "README.md", ".gitignore", "images", "secrets"}


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(arguments)
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def secrets_of(folder: Path) -> dict[str, str]:
    """All files of `secrets/`."""
    files = (path for path in (folder / "secrets").rglob("*") if path.is_file())
    return {str(path.relative_to(folder / "secrets")): path.read_text() for path in files}


@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_what_is_written_is_a_valid_compose_file(
    stack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, _ = run(capsys, "--stack", stack, "--out", str(tmp_path / "out"))
    assert code == 0
    assert out.splitlines()[-1] == f"docker compose -f {tmp_path / 'out'}/compose.yaml up --build --wait"
    assert {path.name for path in (tmp_path / "out").iterdir()} == FILES
    for name in ("compose.yaml", "compose.dev.yaml"):
        check_file(read(tmp_path / "out" / name).content)


def test_every_file_that_the_compose_file_names_is_there(tmp_path: Path) -> None:
    write(read_stack("prod"), "prod", tmp_path)
    file = read(tmp_path / "compose.yaml").content
    named = [each["file"] for part in ("secrets", "configs") for each in file[part].values()]
    named += [
        f"{service['build']['context']}/Dockerfile"
        for service in file["services"].values()
        if "build" in service
    ]
    assert any(name.endswith("/Dockerfile") for name in named)
    assert [name for name in named if not (tmp_path / name).is_file()] == []


def test_the_image_is_built_of_what_the_stack_s_own_build_is_sent(tmp_path: Path) -> None:
    write(read_stack("dev"), "dev", tmp_path)
    context = tmp_path / "images" / "agent"
    assert (context / "Dockerfile").read_text() == Path("service/Dockerfile").read_text()
    assert (context / "langgraph_agents_service" / "__main__.py").is_file()
    assert not (context / "langgraph_agents_service" / "local.py").exists()  # .dockerignore leaves it out


def test_a_project_is_built_as_the_stack_builds_it(tmp_path: Path) -> None:
    named = stack_with(source="examples/orders")
    write(named, "dev", tmp_path)
    context = tmp_path / "images" / "support"
    assert (context / "project" / "langgraph.json").is_file()
    assert "--require-hashes" in (context / "Dockerfile").read_text()
    services = read(tmp_path / "compose.yaml").content["services"]
    assert services["support"]["build"] == {"context": "./images/support"}
    mounted = read(tmp_path / "compose.dev.yaml").content["services"]["support"]
    assert mounted["volumes"] == [
        {
            "type": "bind",
            "source": str(Path("examples/orders").resolve()),
            "target": "/project",
            "read_only": True,
        }
    ]
    assert mounted["develop"]["watch"][0]["action"] == "restart"


def test_a_project_whose_store_has_an_index_gets_pgvector(tmp_path: Path) -> None:
    project = tmp_path / "project"
    shutil.copytree("examples/orders", project)
    config = json.loads((project / "langgraph.json").read_text())
    config["store"] = {"index": {"dims": 8, "embed": "./src/shop/graph.py:embed"}}
    (project / "langgraph.json").write_text(json.dumps(config))
    write(stack_with(source=str(project)), "dev", tmp_path / "out")
    assert "pgvector" in read(tmp_path / "out" / "compose.yaml").content["services"]["postgres"]["image"]


def test_secrets_are_files_for_their_owner_alone(tmp_path: Path) -> None:
    write(read_stack("prod"), "prod", tmp_path)
    for path in [tmp_path / "secrets", *(tmp_path / "secrets").rglob("*")]:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
    assert "secrets/" in (tmp_path / ".gitignore").read_text().splitlines()


def test_containers_run_as_who_can_read_the_secrets(tmp_path: Path) -> None:
    write(read_stack("dev"), "dev", tmp_path)
    user, group = read(tmp_path / "compose.yaml").content["services"]["support"]["user"].split(":")
    for path in (tmp_path / "secrets").rglob("*"):
        assert (path.stat().st_uid, path.stat().st_gid) == (int(user), int(group)), path


def test_a_repetition_changes_no_secret_and_nothing_that_somebody_added(tmp_path: Path) -> None:
    write(read_stack("prod"), "prod", tmp_path)
    filled = tmp_path / "secrets" / "support" / "OPENAI_API_KEY"
    assert filled.read_text() == ""
    filled.write_text("sk-of-mine")
    (tmp_path / "compose.override.yaml").write_text("services: {}\n")
    before = secrets_of(tmp_path)
    written = write(read_stack("prod"), "prod", tmp_path)
    assert secrets_of(tmp_path) == before
    assert [each.path for each in written.unfilled] == ["secrets/research/ANTHROPIC_API_KEY"]
    assert (tmp_path / "compose.override.yaml").is_file()


def test_another_agent_gets_a_login_to_the_cache_beside_those_that_are_there(tmp_path: Path) -> None:
    write(stack_with(), "dev", tmp_path)
    before = (tmp_path / "secrets" / "valkey-users.acl").read_text().splitlines()
    write(stack_with(name="other"), "dev", tmp_path)
    after = (tmp_path / "secrets" / "valkey-users.acl").read_text().splitlines()
    assert before[0] == after[0] == "user default reset on nopass -@all +ping"
    assert before[1].startswith("user support on ~support:* ")
    assert after[1].startswith("user other on ~other:* ")


def test_empty_files_are_told_where_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, out, _ = run(capsys, "--stack", "prod", "--out", str(tmp_path))
    for name in ("secrets/support/OPENAI_API_KEY", "secrets/research/ANTHROPIC_API_KEY"):
        assert f"  {tmp_path}/{name}" in out
        assert name in (tmp_path / "README.md").read_text()


def test_an_agent_with_the_model_that_needs_no_provider_needs_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, out, _ = run(capsys, "--stack", "dev", "--out", str(tmp_path))
    assert "empty" not in out
    assert "Fill these in" not in (tmp_path / "README.md").read_text()


@settings(max_examples=5, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(key=st.from_regex(r"sk-[A-Za-z0-9$'\"{}: #]{12,40}", fullmatch=True))
def test_no_value_of_a_secret_stands_outside_of_secrets(tmp_path: Path, key: str) -> None:
    folder = tmp_path / "out"
    write(read_stack("prod"), "prod", folder)
    (folder / "secrets" / "support" / "OPENAI_API_KEY").write_text(key)
    write(read_stack("prod"), "prod", folder)
    values = [value.strip() for value in secrets_of(folder).values() if value.strip()]
    passwords = [
        value.partition("://")[2].partition(":")[2].partition("@")[0] for value in values if "://" in value
    ]
    assert key.strip() in values
    assert len(passwords) == 5  # the administrator's, and two of each agent
    for name in ("compose.yaml", "compose.dev.yaml", "nginx.conf", "README.md"):
        text = (folder / name).read_text()
        assert not [value for value in (*values, *passwords) if value in text]


def test_agents_read_the_stores_uris_with_the_authority_that_signed_their_certificates(
    tmp_path: Path,
) -> None:
    named = read_stack("prod")
    write(named, "prod", tmp_path)
    secrets = secrets_of(tmp_path)
    agent = named.settings.agents[0]
    assert secrets[of_server(agent)["DATABASE_URI"]].endswith(
        "@postgres:5432/support?sslmode=verify-full&sslrootcert=/etc/langgraph-agents/rds-ca.pem"
    )
    assert secrets[of_server(agent)["REDIS_URI"]].endswith(
        "@valkey:6379/0?ssl_ca_certs=/etc/langgraph-agents/rds-ca.pem"
    )
    admin = secrets[of_migration(agent)["DATABASE_ADMIN_URI"]]
    assert admin.startswith(f"postgresql://postgres:{secrets['postgres-password']}@postgres:5432/postgres?")


def handshake(tls: Path, store: str, host: str) -> None:
    """As a client that asks for `host` and gets to a store."""
    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    listening.load_cert_chain(tls / f"{store}.crt", tls / f"{store}.key")
    asking = ssl.create_default_context(cafile=str(tls / "ca.crt"))
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = asking.wrap_bio(to_client, to_server, server_hostname=host)
    server = listening.wrap_bio(to_server, to_client, server_side=True)
    with suppress(ssl.SSLWantReadError):
        client.do_handshake()
    with suppress(ssl.SSLWantReadError):
        server.do_handshake()
    client.do_handshake()


@pytest.mark.parametrize(
    ("store", "host"), [("postgres", "postgres"), ("valkey", "valkey"), ("valkey", "localhost")]
)
def test_a_store_proves_who_it_is_by_its_certificate(store: str, host: str, tmp_path: Path) -> None:
    keep(tmp_path / "secrets", [])
    handshake(tmp_path / "secrets" / "tls", store, host)


def test_one_store_cannot_pass_for_the_other(tmp_path: Path) -> None:
    keep(tmp_path / "secrets", [])
    with pytest.raises(ssl.SSLCertVerificationError, match="postgres"):
        handshake(tmp_path / "secrets" / "tls", "valkey", "postgres")


def test_somebody_else_s_folder_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "compose.yaml").write_text("services: {}\n")
    code, _, err = run(capsys, "--out", str(tmp_path))
    assert code == 2
    assert "not written by this command: name another folder" in err
    (tmp_path / "compose.yaml").rename(tmp_path / "notes.txt")
    code, _, err = run(capsys, "--out", str(tmp_path))
    assert code == 2
    assert "other files are there" in err
    code, _, err = run(capsys, "--out", str(tmp_path / "notes.txt"))
    assert code == 2
    assert "is a file" in err
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_what_fails_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(read_stack("prod"), "prod", tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}

    def fail(*_: Any) -> None:
        raise ProjectError("langgraph.json: no\nlanggraph.json: and no again")

    monkeypatch.setattr("compose.writing.image_of", fail)
    code, _, err = run(capsys, "--stack", "prod", "--out", str(tmp_path))
    assert code == 1
    assert err.count("agent support:") == err.count("agent research:") == 2
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before
    assert not (tmp_path / ".partial").exists()


def test_a_stack_that_compose_cannot_run_writes_nothing(tmp_path: Path) -> None:
    volume = {"name": "files", "mountPath": "/files", "configMap": {"name": "files"}}
    with pytest.raises(Exception, match=r"agents\[0\].pod.volumes"):
        write(stack_with(pod={"volumes": [volume]}), "dev", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_programs_are_told_in_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(capsys, "--stack", "prod", "--out", str(tmp_path), "--json")
    told = json.loads(out)
    assert code == 0
    assert told["folder"] == str(tmp_path)
    assert told["agents"]["support"]["hosts"] == ["support.agents.example.com", "support.localhost"]
    assert told["unfilled"] == [
        f"{tmp_path}/secrets/{each}" for each in ("support/OPENAI_API_KEY", "research/ANTHROPIC_API_KEY")
    ]
    code, out, err = run(capsys, "--stack", "nowhere", "--json")
    assert code == 2
    assert "Pulumi.nowhere.yaml" in json.loads(out)["error"]
    assert not err


@pytest.mark.parametrize("arguments", [("--stack", "nowhere"), ("--colour", "red")])
def test_wrong_options_are_one_line_and_no_traceback(
    arguments: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out, err = run(capsys, *arguments)
    assert code == 2
    assert not out
    assert err.startswith("compose: ")
    assert "Traceback" not in err


def test_the_page_has_the_table_of_what_compose_cannot_do() -> None:
    table = Path("compose/limits.md").read_text()
    assert table in Path("docs/compose.md").read_text()


def _docker_compose() -> bool:
    docker = shutil.which("docker")
    return (
        bool(docker)
        and not subprocess.run([str(docker), "compose", "version"], capture_output=True).returncode
    )


@pytest.mark.skipif(not _docker_compose(), reason="`docker compose` is not installed")
@pytest.mark.parametrize("stack", ["dev", "prod"])
def test_docker_compose_takes_the_files(stack: str, tmp_path: Path) -> None:
    write(read_stack(stack), stack, tmp_path)
    for files in (["compose.yaml"], ["compose.yaml", "compose.dev.yaml"]):
        named = [part for file in files for part in ("--file", file)]
        command = ["docker", "compose", *named, "--profile", "prune", "config", "--quiet"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env={**os.environ})
        assert not done.returncode, done.stderr
        assert "warning" not in done.stderr.lower()
