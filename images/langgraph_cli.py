"""Asks langgraph-cli how the Agent Server's image of a project is built; it is no package of the program itself."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from images import uv
from langgraph_agents_service.projects.config import ProjectError

_PACKAGES = Path(__file__).with_name("langgraph-cli.txt")
_QUESTION = """\
import json, pathlib, sys
from click import ClickException
from langgraph_cli.config import config_to_docker, validate_config_file
file = pathlib.Path(sys.argv[1])
try:
    text, contexts = config_to_docker(file, validate_config_file(file))
    answer = {"dockerfile": text, "outside": [str(path) for path in contexts.values()]}
except ClickException as error:
    answer = {"problem": error.format_message()}
except (ValueError, OSError) as error:
    answer = {"problem": str(error)}
print(json.dumps(answer))
"""


@dataclass(frozen=True)
class Answer:
    """What `langgraph build` would do."""

    dockerfile: str
    outside: list[str]
    """Folders outside the project's own that it copies from."""


def ask(file: Path) -> Answer:
    """Of a langgraph.json. Raises ProjectError, in langgraph-cli's words."""
    done = subprocess.run(
        # -P: modules of the project must not take the place of its own.
        [sys.executable, "-P", "-c", _QUESTION, str(file)],
        cwd=file.parent,
        env={**os.environ, "PYTHONPATH": str(_installed())},
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise ProjectError(f"{file}: langgraph-cli fails: {done.stderr.strip().splitlines()[-1]}")
    answer = json.loads(done.stdout.splitlines()[-1])
    if "problem" in answer:
        raise ProjectError(f"{file}: {answer['problem']}")
    return Answer(answer["dockerfile"], answer["outside"])


def _installed() -> Path:
    """The folder with its packages, each by its hash, made once. Raises ProjectError."""
    key = hashlib.sha256(_PACKAGES.read_bytes() + sys.version.encode()).hexdigest()[:16]
    folder = uv.cache() / "langgraph-cli" / key
    if folder.is_dir():
        return folder
    partial = folder.with_name(f".{key}.{os.getpid()}")
    try:
        uv.run(
            [
                *("pip", "install", "--no-deps", "--require-hashes", "--python", sys.executable),
                *("--target", str(partial), "--requirements", str(_PACKAGES)),
            ],
            folder=_PACKAGES.parent,
        )
    except uv.UvError as error:
        shutil.rmtree(partial, ignore_errors=True)
        raise ProjectError(
            f"langgraph-cli, which says how the image is built, cannot be installed: {error}"
        ) from None
    try:
        partial.rename(folder)
    except OSError:  # another process was faster
        shutil.rmtree(partial)
    return folder
