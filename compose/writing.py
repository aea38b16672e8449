"""Writes the folder: everything but the secrets is made aside first, and then takes its place."""

import json
import shutil
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from compose.development import development_file
from compose.images import FOLDER as IMAGES
from compose.images import AgentImage, image_of
from compose.problems import check_file, problems_of
from compose.readme import readme
from compose.secret_files import FOLDER as SECRETS
from compose.secret_files import Unfilled, keep, owner
from compose.services import compose_file, nginx_conf
from langgraph_agents_service.projects.config import ProjectError
from sandbox.common.console import step
from sandbox.common.errors import InputError, SandboxError
from stacks.loading import SettingsError
from stacks.of_stack import NamedStack
from stacks.reading import text

COMPOSE = "compose.yaml"
DEVELOPMENT = "compose.dev.yaml"
_MARK = "# Written by `make compose`"


@dataclass(frozen=True)
class Written:
    """What was written."""

    folder: Path
    unfilled: list[Unfilled]
    notes: list[str]


def write(named: NamedStack, stack: str, folder: Path) -> Written:
    """Write the folder of a stack, or change nothing.

    Raises:
        InputError: the folder is somebody else's.
        SettingsError: the stack has what Compose cannot run.
        SandboxError: a project cannot be built.
    """
    _check_folder(folder)
    if problems := problems_of(named.settings):
        raise SettingsError(f"Pulumi.{stack}.yaml", problems)
    agents = named.settings.agents
    partial = folder / ".partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        images = _images(named, stack, partial)
        conf = nginx_conf(agents)
        (partial / "nginx.conf").write_text(conf)
        (partial / ".gitignore").write_text(f"{SECRETS}/\n.partial/\n")
        _write(partial / DEVELOPMENT, development_file(agents, images), f"over {COMPOSE}")
        _write(partial / COMPOSE, compose_file(named, stack, images, owner(), conf), f"for the stack {stack}")
        unfilled = keep(folder / SECRETS, agents)
        (partial / "README.md").write_text(readme(stack, agents, images, unfilled))
        _take_place(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    notes = [f"{agent}: {note}" for agent, image in images.items() for note in image.notes]
    return Written(folder, unfilled, notes)


def _check_folder(folder: Path) -> None:
    """Refuse to write over what is not ours."""
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--out {folder}: is a file: name a folder")
    file = folder / COMPOSE
    if file.exists() and not file.read_text().startswith(_MARK):
        raise InputError(
            f"--out {folder}: {COMPOSE} there was not written by this command: name another folder"
        )
    if not file.exists() and any(folder.glob("*")) and not (folder / SECRETS).is_dir():
        raise InputError(f"--out {folder}: other files are there: name a folder of its own")


def _images(named: NamedStack, stack: str, partial: Path) -> dict[str, AgentImage]:
    images, problems = {}, []
    for agent in named.settings.agents:
        try:
            # Packages of a project may have to be asked for; everything else is there.
            with step(f"image of {agent.name}") if agent.source else nullcontext():
                images[agent.name] = image_of(agent, named.settings, stack, partial)
        except ProjectError as error:
            problems += [f"agent {agent.name}: {line}" for line in str(error).splitlines()]
    if problems:
        raise SandboxError("\n".join(dict.fromkeys(problems)))
    return images


def _write(path: Path, content: Mapping[str, Any], what: str) -> None:
    check_file(content)
    # Data that is the same in several places is written out in each.
    plain = json.loads(json.dumps(content))
    path.write_text(f"{_MARK} {what}; it writes this file anew.\n{text(plain)}")


def _take_place(partial: Path, folder: Path) -> None:
    """compose.yaml last: what it names is there by then."""
    new = sorted(partial.iterdir(), key=lambda path: path.name == COMPOSE)
    if (folder / IMAGES).exists():
        (folder / IMAGES).rename(partial / ".before")
    for path in new:
        path.replace(folder / path.name)
