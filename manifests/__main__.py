"""The Kubernetes objects of the project's stacks, for kubectl: a Kustomize base and an overlay for each stack.

    python -m manifests [--stack dev]

Exit codes: 0 written; 1 it cannot be written; 2 a stack file, the program or an option is wrong.
"""

from preview.recording.start import fast_start

# Before anything else is imported: that is what takes the time.
fast_start()

import argparse  # noqa: E402
import json  # noqa: E402
import sys  # noqa: E402
from collections.abc import Mapping, Sequence  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from manifests import folder, kustomize  # noqa: E402
from manifests.objects import ClusterObjects, cluster_objects  # noqa: E402
from sandbox.common.command import Parser, short, show_error, stacks_of  # noqa: E402
from sandbox.common.errors import InputError, SandboxError  # noqa: E402


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = _parser().parse_args(arguments)
        project: Path = options.project.resolve()
        stacks = _recorded([options.stack] if options.stack else _stacks_of(project), project)
        out: Path = options.out or project / "build" / "manifests" / (options.stack or "all")
        files = kustomize.files(stacks)
        folder.replace(out.absolute(), files, kustomize.MARKED)
    except SandboxError as error:
        show_error(error, "manifests", arguments)
        return error.exit_code
    result = _result(out, stacks, files)
    print(json.dumps(result, indent=2) if options.json else _told(result))
    return 0


def _recorded(names: Sequence[str], project: Path) -> dict[str, ClusterObjects]:
    """The objects of each stack. All that is wrong with any of them is said at once."""
    found, wrong = {}, []
    for name in names:
        try:
            found[name] = cluster_objects(name, project)
        except SandboxError as error:
            wrong.append(str(error))
    if wrong:
        raise InputError("\n".join(wrong))
    return found


def _stacks_of(project: Path) -> list[str]:
    names = stacks_of(project)
    if not names:
        raise InputError(
            f"{project} has no Pulumi.<stack>.yaml: go to the folder of Pulumi.yaml, or name it by --project"
        )
    return names


def _result(out: Path, stacks: Mapping[str, ClusterObjects], files: Mapping[str, str]) -> dict[str, Any]:
    return {
        "folder": str(out),
        "base": sum(path.startswith(f"{kustomize.BASE}/") for path in files) - 1,
        "overlays": {
            stack: {
                "folder": str(out / kustomize.overlay(stack)),
                "objects": len(found.objects),
                "apis": found.apis,
                "helm_releases": found.releases,
                "secrets_left_out": list(found.secrets),
                "try": f"kubectl apply --server-side -k {short(out / kustomize.overlay(stack))}",
            }
            for stack, found in stacks.items()
        },
    }


def _told(result: Mapping[str, Any]) -> str:
    lines = [
        f"Written to {short(Path(result['folder']))}: a base of {result['base']} objects, and an overlay for each stack"
    ]
    for stack, found in result["overlays"].items():
        lines.append(f"{stack}: {found['objects']} objects in all")
        lines.append(f"  the cluster has to know {', '.join(found['apis'])}")
        lines += [
            f"  not among them, but in the program: Helm release {each}" for each in found["helm_releases"]
        ]
        lines += [
            f"  not written, because it holds a value: Secret {each}" for each in found["secrets_left_out"]
        ]
    lines.append(
        "Images stand under `images` in each overlay's kustomization.yaml: name those that you have pushed."
    )
    lines += [f"Try: {found['try']}" for found in result["overlays"].values()]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m manifests",
        description=(__doc__ or "").split("\n", 1)[0],
        epilog="Exit codes: 0 written, 1 it cannot be written, 2 a stack file, the program or an option is wrong.",
    )
    parser.add_argument("--stack", help="only this stack: names Pulumi.<stack>.yaml")
    parser.add_argument(
        "--out", type=Path, help="the folder (build/manifests/<stack>, or build/manifests/all)"
    )
    parser.add_argument(
        "--project", type=Path, default=Path.cwd(), help="the folder of Pulumi.yaml (this one)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
