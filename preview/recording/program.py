"""Makes the plan of a stack: runs its program as ``pulumi up`` would, on the stack's own file."""

import json
import runpy
import traceback
from pathlib import Path
from typing import Any

from preview.recording.plan import Plan, PlannedResource, masked
from sandbox.common.errors import InputError, SandboxError
from sandbox.engine import stackfile
from sandbox.engine.folder import in_folder


class ProgramError(SandboxError):
    """The program failed for a reason that is not its settings': a defect, or a resource that nothing emulates."""

    exit_code = 2


def make_plan(stack: str, project_dir: Path, before: Plan | None = None) -> Plan:
    """Run ``__main__.py`` of a project for one of its stacks and return what it would make.

    Args:
        stack: names ``Pulumi.<stack>.yaml``.
        project_dir: the folder of ``Pulumi.yaml``.
        before: what exists already: resources that are kept keep their emulated ids.

    Raises:
        InputError: the stack, its file or its settings cannot be used.
        ProgramError: the program failed.
    """
    project_dir = project_dir.resolve()
    project = stackfile.project_name(project_dir)
    source = stackfile.load(project_dir, stack)
    config, secret_keys = _config(source, project)
    region = config.get("aws:region")
    if region is None:
        raise InputError(f"{source.path}: aws:region is not set: name the region, such as eu-central-1")
    # Pulumi's SDK takes most of a second to import; an unknown stack is reported without it.
    import pulumi

    from preview.recording.recorder import record
    from sandbox import emulated

    def program() -> None:
        runpy.run_path(str(project_dir / "__main__.py"), run_name="__main__")

    try:
        with in_folder(project_dir):
            recording = record(
                program,
                project=project,
                stack=stack,
                config=config,
                secret_keys=secret_keys,
                before=before.resources if before else None,
                folder=project_dir,
            )
    except pulumi.RunError as error:
        raise InputError(str(error)) from None
    except emulated.UnknownType as error:
        raise ProgramError(str(error)) from None
    except Exception as error:
        raise ProgramError(f"the program failed{_place(error, project_dir)}: {error!r}") from error
    return Plan(
        project=project,
        stack=stack,
        region=region,
        production=source.for_policies(project).production,
        resources={urn: _masked(recording.resources[urn]) for urn in sorted(recording.resources)},
        outputs=masked(recording.outputs),
    )


def _masked(resource: PlannedResource) -> PlannedResource:
    inputs, outputs = masked(resource.inputs), masked(resource.outputs)
    if inputs is resource.inputs and outputs is resource.outputs:
        return resource
    from dataclasses import replace

    return replace(resource, inputs=inputs, outputs=outputs)


def _place(error: Exception, project_dir: Path) -> str:
    """The innermost line of the project's own that an error passed."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [
        f
        for f in frames
        if Path(f.filename).is_relative_to(project_dir) and "site-packages" not in f.filename
    ]
    if not own:
        return ""
    return f" at {Path(own[-1].filename).relative_to(project_dir)}:{own[-1].lineno}"


def _config(source: stackfile.StackFile, project: str) -> tuple[dict[str, str], list[str]]:
    """The configuration as the engine hands it over, and the keys that hold secrets."""
    config: dict[str, str] = {}
    secret_keys = []
    for key, value in source.config.items():
        key = key if ":" in key else f"{project}:{key}"
        readable = stackfile.with_stand_ins(value, key)
        if readable != value:
            secret_keys.append(key)
        config[key] = _text(readable)
    return config, secret_keys


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
