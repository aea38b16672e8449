"""The image's repository and build, and the revision that follows from the source."""

import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from components.workload.build_context import content_hash, context_files
from components.workload.image import Image, ImageArgs
from preview.recording.recorder import Recording
from tests.components.reading import is_secret, protected

Record = Callable[..., Recording]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    files = {
        "Dockerfile": "FROM scratch\n",
        "app.py": "print()\n",
        "pkg/mod.py": "x = 1\n",
        "pkg/.venv/lib.py": "",
        "notes.md": "",
        "pkg/notes.md": "",
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


def args(source: Path, **changes: Any) -> ImageArgs:
    return ImageArgs(
        **{
            "repository_name": "agents",
            "context": str(source),
            "dockerfile": None,
            "platforms": ["linux/amd64"],
            "region": "eu-central-1",
            "keep_images": 10,
            "force_delete": False,
            "protect": False,
            **changes,
        }
    )


def revision(source: Path, salt: tuple[str, ...] = ()) -> str:
    return content_hash(source, source / "Dockerfile", salt=salt)


def test_the_repository_lets_one_tag_move_and_is_scanned_and_encrypted(
    record_resources: Record, source: Path
) -> None:
    made = record_resources(lambda: Image("image", args(source)))
    repository = made.named("image-repository").inputs
    assert repository["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert repository["imageTagMutabilityExclusionFilters"] == [
        {"filter": "deployed", "filterType": "WILDCARD"}
    ]
    assert repository["imageScanningConfiguration"] == {"scanOnPush": True}
    [encryption] = repository["encryptionConfigurations"]
    assert encryption == {"encryptionType": "KMS", "kmsKey": made.named("image-key").outputs["arn"]}


def test_old_images_expire_and_the_newest_stay(record_resources: Record, source: Path) -> None:
    made = record_resources(lambda: Image("image", args(source, keep_images=7)))
    _, untagged, tagged = json.loads(made.named("image-lifecycle").inputs["policy"])["rules"]
    assert untagged["selection"]["tagStatus"] == "untagged"
    # An index, an image, its provenance.
    assert untagged["selection"]["countNumber"] == 21
    assert tagged["selection"]["tagPatternList"] == ["*"]
    assert tagged["selection"]["countNumber"] == 7


def test_what_is_deployed_never_expires_whatever_its_age_and_number(
    record_resources: Record, source: Path
) -> None:
    made = record_resources(lambda: Image("image", args(source, keep_images=1)))
    rules = json.loads(made.named("image-lifecycle").inputs["policy"])["rules"]
    # The first rule that an image's tags match decides, and this one expires what is tagged alike and older.
    first = min(rules, key=lambda rule: rule["rulePriority"])
    (pushed,) = made.named("image-build").inputs["tags"]
    assert first["selection"] == {
        "tagStatus": "tagged",
        "tagPatternList": [pushed.rpartition(":")[2]],
        "countType": "imageCountMoreThan",
        "countNumber": 1,
    }


def test_a_changed_lifecycle_is_deleted_before_the_new_one_is_made(
    record_resources: Record, source: Path
) -> None:
    made = record_resources(lambda: Image("image", args(source)))
    assert made.named("image-lifecycle").delete_before_replace


def test_the_build_is_pushed_under_a_tag_that_may_move_and_used_by_digest(
    record_resources: Record, source: Path
) -> None:
    shown: list[str] = []
    made = record_resources(lambda: Image("image", args(source)).ref.apply(shown.append) and None)
    build = made.named("image-build")
    url = made.named("image-repository").outputs["repositoryUrl"]
    (excluded,) = made.named("image-repository").inputs["imageTagMutabilityExclusionFilters"]
    assert build.inputs["tags"] == [f"{url}:{excluded['filter']}"]
    assert build.inputs["labels"] == {"org.opencontainers.image.revision": revision(source, ("linux/amd64",))}
    assert build.inputs["push"]
    assert build.inputs["buildOnPreview"] is False
    assert shown == [f"{url}@{build.outputs['digest']}"]


def test_the_registry_s_password_stays_secret(record_resources: Record, source: Path) -> None:
    made = record_resources(lambda: Image("image", args(source)))
    [registry] = made.named("image-build").inputs["registries"]
    assert is_secret(registry["password"])


def test_a_changed_source_is_another_digest(record_resources: Record, source: Path) -> None:
    digests = []
    for text in ("print()\n", "print(1)\n"):
        (source / "app.py").write_text(text)
        made = record_resources(lambda: Image("image", args(source)))
        digests.append(made.named("image-build").outputs["digest"])
    assert digests[0] != digests[1]


def test_protection_covers_the_repository_and_its_key(record_resources: Record, source: Path) -> None:
    assert protected(record_resources(lambda: Image("image", args(source, protect=True)))) == {
        "image-repository",
        "image-key",
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"repository_name": "Agents"}, "repository_name is 'Agents'"),
        ({"platforms": []}, r"platforms is \[\]: name that of the nodes"),
        ({"platforms": ["amd64"]}, r"platforms is \['amd64'\]: .*linux/amd64"),
        ({"keep_images": 0}, "keep_images is 0"),
        ({"force_delete": True, "protect": True}, "force_delete and protect are both true"),
    ],
)
def test_what_cannot_work_is_refused(source: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        args(source, **changes)


def test_a_missing_folder_or_dockerfile_is_named(source: Path) -> None:
    with pytest.raises(ValueError, match=r"context is .*missing: no such folder"):
        content_hash(source / "missing", source / "Dockerfile")
    with pytest.raises(ValueError, match=r"dockerfile is .*Containerfile: no such file"):
        content_hash(source, source / "Containerfile")


def test_the_revision_follows_content_names_modes_and_salt(source: Path) -> None:
    revisions = [revision(source), revision(source, ("linux/arm64",))]
    (source / "app.py").write_text("print(2)\n")
    revisions.append(revision(source))
    (source / "app.py").chmod(0o755)
    revisions.append(revision(source))
    (source / "app.py").rename(source / "main.py")
    revisions.append(revision(source))
    (source / "Dockerfile").write_text("FROM scratch\nUSER 1000\n")
    revisions.append(revision(source))
    assert len(set(revisions)) == len(revisions)


def test_the_revision_ignores_what_the_build_ignores(source: Path) -> None:
    (source / ".dockerignore").write_text("notes.md\n")
    before = revision(source)
    (source / "notes.md").write_text("changed")
    assert revision(source) == before
    (source / "pkg" / "notes.md").write_text("changed")
    assert revision(source) != before


def test_the_dockerfile_s_own_ignore_file_goes_first(source: Path) -> None:
    (source / ".dockerignore").write_text("app.py\n")
    (source / "Dockerfile.dockerignore").write_text("notes.md\n")
    before = revision(source)
    (source / "notes.md").write_text("changed")
    assert revision(source) == before
    (source / "app.py").write_text("changed")
    assert revision(source) != before


# From https://docs.docker.com/build/concepts/context/#dockerignore-files
@pytest.mark.parametrize(
    ("lines", "left"),
    [
        ([], {"Dockerfile", "app.py", "notes.md", "pkg/.venv/lib.py", "pkg/mod.py", "pkg/notes.md"}),
        (["*.md"], {"Dockerfile", "app.py", "pkg/.venv/lib.py", "pkg/mod.py", "pkg/notes.md"}),
        (["**/*.md"], {"Dockerfile", "app.py", "pkg/.venv/lib.py", "pkg/mod.py"}),
        (["# comment", "", "/pkg/"], {"Dockerfile", "app.py", "notes.md"}),
        (["**/.venv"], {"Dockerfile", "app.py", "notes.md", "pkg/mod.py", "pkg/notes.md"}),
        (["pkg", "!pkg/mod.py"], {"Dockerfile", "app.py", "notes.md", "pkg/mod.py"}),
        (["*", "!app.py"], {"app.py"}),
        (["**", "!**/mod.py"], {"pkg/mod.py"}),
        (["*/*.md"], {"Dockerfile", "app.py", "notes.md", "pkg/.venv/lib.py", "pkg/mod.py"}),
        (["note?.md"], {"Dockerfile", "app.py", "pkg/.venv/lib.py", "pkg/mod.py", "pkg/notes.md"}),
        (["[an]*"], {"Dockerfile", "pkg/.venv/lib.py", "pkg/mod.py", "pkg/notes.md"}),
        (["./app.py"], {"Dockerfile", "notes.md", "pkg/.venv/lib.py", "pkg/mod.py", "pkg/notes.md"}),
    ],
)
def test_patterns_mean_what_docker_documents(source: Path, lines: list[str], left: set[str]) -> None:
    assert {str(path) for path in context_files(source, lines)} == left


@given(names=st.sets(st.from_regex(r"[a-z]{1,4}", fullmatch=True), min_size=1, max_size=5))
def test_a_name_without_wildcards_matches_only_itself(
    names: set[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("context")
    for name in names:
        (folder / name).write_text("")
    ignored = min(names)
    assert context_files(folder, [ignored]) == sorted(PurePosixPath(name) for name in names - {ignored})
