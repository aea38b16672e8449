"""Which files enter an image."""

from pathlib import Path

from images.files import env_names, files
from images.source import Source
from tests.images.conftest import PLANTED


def test_an_image_gets_what_the_project_needs_and_nothing_else(project: Source) -> None:
    assert [str(path) for path in files(project)] == [
        "api/.dockerignore",
        "api/graph.py",
        "api/langgraph.json",
        "api/prompts/hello.txt",
        "api/requirements.txt",
        "libs/words/pyproject.toml",
        "libs/words/words/__init__.py",
    ]


def test_nothing_that_was_planted_enters(project: Source) -> None:
    assert not {str(path) for path in files(project)} & set(PLANTED)


def test_a_link_out_of_the_project_stays_a_link(project: Source, repository: Path) -> None:
    (repository / "api/linked").symlink_to("/etc")
    assert not [path for path in files(project) if "linked" in path.parts[:2] and len(path.parts) > 2]


def test_the_names_of_an_env_file_are_known_and_its_values_are_not(project: Source) -> None:
    assert env_names(project) == ["OPENAI_API_KEY", "REGION"]


def test_an_env_file_that_is_not_there_asks_for_nothing(project: Source, repository: Path) -> None:
    Path(repository / "api/.env").unlink()
    assert env_names(project) == []
