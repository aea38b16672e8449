"""A project of a team, in a repository with things that do not belong into an image."""

import json
from pathlib import Path

import pytest

from images.source import Source, read_source

PLANTED = {
    ".env": "OPENAI_API_KEY=sk-planted",
    "api/.env.local": "KEY=planted",
    ".git/config": "planted",
    "api/id_ed25519": "planted",
    "api/server.pem": "planted",
    "api/.venv/lib/x.py": "planted = 1",
    "api/env/pyvenv.cfg": "planted",
    "api/env/lib/y.py": "planted = 1",
    "api/__pycache__/graph.cpython-313.pyc": "planted",
    "api/node_modules/a/index.js": "planted",
    "api/.aws/credentials": "planted",
    "api/secret-notes/plan.md": "planted",
    "other/service.py": "planted = 1",
}


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with the project `api`, which needs the folder `libs/words`, and `other`, which it does not."""
    root = tmp_path / "repository"
    files = {
        "api/langgraph.json": json.dumps(
            {
                "dependencies": [".", "../libs/words", "python-slugify"],
                "graphs": {"a": "./graph.py:graph"},
                "env": ".env",
            }
        ),
        "api/graph.py": "graph = None",
        "api/requirements.txt": "langgraph>=1.0\n",
        "api/.dockerignore": "secret-notes\n",
        "api/prompts/hello.txt": "Hello",
        "libs/words/words/__init__.py": "",
        "libs/words/pyproject.toml": '[project]\nname = "words"\nversion = "1"\n',
        **PLANTED,
    }
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (root / "api/.env").write_text("OPENAI_API_KEY=sk-planted\nREGION=north\n")
    return root


@pytest.fixture
def project(repository: Path) -> Source:
    return read_source(repository / "api")
