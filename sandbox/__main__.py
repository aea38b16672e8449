"""`make up`, `make status`, `make down`, `make doctor`.

Exit codes: 0 done, 1 failed, 2 bad input (a stack file, a setting, an option), 130 interrupted.
"""

import argparse
import gc
import json
import os
import shutil
import sys
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from sandbox import report
from sandbox.binaries import debian
from sandbox.cluster import controlplane, nodes
from sandbox.cluster.api import Api
from sandbox.cluster.controlplane import ControlPlane, Place
from sandbox.common import state
from sandbox.common.console import console, step
from sandbox.common.errors import InputError, SandboxError
from sandbox.common.state import State
from sandbox.engine import outline, stackfile
from sandbox.machine.choice import Nodes, choose

if TYPE_CHECKING:
    from sandbox.binaries.build import Engine
    from sandbox.cluster.agents import Agent, Reached
    from sandbox.engine.deploy import Result
    from sandbox.machine.assembly import Machine

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns the exit code."""
    options = _parser().parse_args(arguments)
    console.stderr = getattr(options, "json", False)
    try:
        code: int = options.command(options)
    except SandboxError as error:
        console.print(str(error), style="red", markup=False)
        return error.exit_code
    except KeyboardInterrupt:
        console.print("Interrupted. `make up` goes on from here, `make down` removes what there is.")
        return _INTERRUPTED
    return code


def up(options: argparse.Namespace) -> int:
    """Start what does not run, deploy the stack, and say what to do with it."""
    # Most objects of so short a run live to its end: collecting in between costs a third of it.
    gc.disable()
    project: Path = options.project.resolve()
    source = stackfile.load(project, _stack(options, "dev"))
    name = stackfile.project_name(project)
    from sandbox.binaries import build

    source.check_kubernetes(name, build.kubernetes_minor())
    topology = source.topology(name)
    here = State(options.state.resolve(), _stack(options, "dev"))
    # What a first deployment will make is shown while it is prepared; a repeat shows what the engine finds.
    first = not here.outputs.exists()
    with here.locked(), outline.shown(project, here.stack) if first else nullcontext() as preview:
        here.create()
        real = _nodes(options, here) is Nodes.REAL
        binaries = build.find_or_build(options.cache, real_node=real)
        # Imported here: they bring Pulumi's SDK, a second that neither `status` nor `down` needs.
        from sandbox.engine.deploy import Deployment, simulated
        from sandbox.machine.assembly import Machine

        machine = Machine(here, binaries, options.cache) if real else None
        place = machine.node.place if machine else Place
        endpoint = ControlPlane(here, binaries.kubernetes, binaries.manifests, place).ensure()

        api = Api(endpoint)
        try:
            if machine is None:
                nodes.ensure(api, topology)
                backends = simulated(api)
            else:
                if controlplane.missing(here):
                    machine.node.join(api, endpoint, here.kubeconfig, topology)
                machine.resume(api)
                backends = machine.backends(api)
            previewed = preview is not None and preview.succeeded()
            result = Deployment(project, source, here, binaries).run(backends, previewed=previewed)
            state.write_private(here.outputs, json.dumps(result.outputs))
            _show_changes(here, result)
            if machine is not None:
                if machine.addons.unbuilt():
                    # They take minutes to build, and agents answer without them.
                    report.show_first(_ways(api, here, binaries, machine))
                machine.addons.ensure(api)
            if machine is None:
                from sandbox.local_agents import LocalAgents

                reached = LocalAgents(here, api).ensure(source.sources(name))
                ways = _written(here, binaries, reached, real=False)
            else:
                ways = _ways(api, here, binaries, machine)
        finally:
            api.close()
        report.show_first(ways)
        report.show_agents(ways)
        report.show_outputs(result.outputs)
        report.show_reality(binaries, real_node=real)
        report.show_more(here)
    if options.json:
        print(json.dumps({**asdict(result), **ways.for_programs()}))
    # Nor is there any use in a last look for garbage when Python ends.
    gc.freeze()
    return 0


def rehearse(options: argparse.Namespace) -> int:
    """Deploy a change over its base on real pods under load; 1 when a caller would notice."""
    stack = _stack(options, "dev")
    root, cache = options.state.resolve(), options.cache
    choose(Nodes.REAL, (root, cache))
    from sandbox.rehearsal.rehearse import rehearse as run

    done = run(options.base, stack, options.project.resolve(), root, cache)
    folder = options.output / stack
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(done.to_json())
    (folder / "report.md").write_text(done.to_markdown())
    if options.json:
        print(done.to_json(), end="")
    else:
        console.print(done.to_markdown(), markup=False)
        console.print(f"Written to {folder}: report.md, report.json")
    return 0 if done.clean else 1


def status(options: argparse.Namespace) -> int:
    """Show the sandboxes; 1 when one of them does not run."""
    root = options.state.resolve()
    chosen = [options.stack] if options.stack else state.stacks(root)
    descriptions = [report.describe(State(root, stack)) for stack in chosen]
    if options.json:
        print(json.dumps(descriptions, indent=2))
    elif not descriptions:
        console.print(f"There is no sandbox in {root}: start one with `make up`.")
    else:
        for description in descriptions:
            report.show(description)
    return 0 if descriptions and all(d["running"] for d in descriptions) else 1


def down(options: argparse.Namespace) -> int:
    """End the processes of the sandboxes, and remove their files."""
    root = options.state.resolve()
    chosen = [options.stack] if options.stack else state.stacks(root)
    for stack in chosen:
        here = State(root, stack)
        with here.locked():
            if not here.exists:
                continue
            debian.use(debian.find(options.cache))
            with step(f"Stop {stack}"):
                ended = controlplane.stop(here)
                shutil.rmtree(here.folder)
            console.print(
                f"Ended {len(ended)} processes and removed {here.folder}: the cluster and the engine's state, protected"
                " resources included. What was built stays in the cache."
            )
    if not chosen:
        console.print(f"There is no sandbox in {root}.")
    return 0


def doctor(options: argparse.Namespace) -> int:
    """Say what this machine can do and lacks; 1 when `make up` would not end with an agent that answers."""
    from sandbox.doctor import examine

    diagnosis = examine(options.project.resolve(), options.state.resolve(), options.cache)
    if options.json:
        print(json.dumps(diagnosis.for_programs(), indent=2))
    else:
        console.print(diagnosis.for_people(), markup=False)
    return 0 if diagnosis.fine else 1


def put_secret_value(options: argparse.Namespace) -> int:
    """Give an entry of the emulated Secrets Manager another value, from standard input, as a rotation does."""
    here = State(options.state.resolve(), _stack(options, "dev"))
    endpoint = controlplane.running_endpoint(here) if here.exists else None
    if endpoint is None or not here.machine.exists():
        raise InputError(
            f"stack {here.stack} runs on no real node: start one with `make up STACK={here.stack}`"
        )
    from sandbox.machine.account import Account
    from sandbox.machine.secrets import Secrets

    with here.locked(), Api(endpoint) as api:
        secrets = Secrets(api, Account(here.machine / "account.json"))
        secrets.put(options.secret_id, sys.stdin.read().removesuffix("\n"))
    console.print("Running pods read it within about ten seconds.")
    return 0


def _ways(api: Api, here: State, binaries: "Engine", machine: "Machine") -> report.Ways:
    """The ways from this machine to the stack's pods."""
    return _written(here, binaries, machine.reachable_agents(api), real=True)


def _written(
    here: State, binaries: "Engine", reached: "Sequence[tuple[Agent, Reached]]", *, real: bool
) -> report.Ways:
    """The ways, which a shell gets as well."""
    from sandbox import shell

    shell.write(here, binaries, reached)
    return report.Ways.ask(here, reached, pods=real)


def _show_changes(here: State, result: "Result") -> None:
    if not result.changes:
        console.print(f"[bold]No changes:[/] stack {here.stack} is deployed as its file says.")
        return
    counts = ", ".join(f"{count} {op}" for op, count in sorted(result.changes.items()))
    console.print(f"[bold]{counts}[/]")
    few = 20
    if len(result.touched) <= few:
        for line in result.touched:
            console.print(f"  {line}", markup=False)


def _nodes(options: argparse.Namespace, here: State) -> Nodes:
    """What the pods are to run on; a sandbox stays with what it began with."""
    began = here.nodes.read_text() if here.nodes.exists() else None
    wanted = options.nodes or began
    chosen, obstacle = choose(wanted, (here.root, options.cache))
    if chosen is Nodes.REAL:
        try:
            debian.use(debian.ensure(options.cache))
        except SandboxError as error:
            if wanted:
                raise
            chosen, obstacle = Nodes.SIMULATED, str(error)
    if obstacle:
        console.print(f"Nodes are simulated, so that no pod really runs: {obstacle}", markup=False)
    if began and chosen != began:
        raise InputError(
            f"stack {here.stack} runs on {began} nodes: `make down STACK={here.stack}` first, or leave NODES out"
        )
    state.write_private(here.nodes, chosen)
    return chosen


def _stack(options: argparse.Namespace, default: str) -> str:
    return options.stack or default


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sandbox", description="The program without a cloud account."
    )
    commands = parser.add_subparsers(required=True)
    for name, command, help_text in (
        ("up", up, "deploy a stack into a cluster on this machine"),
        ("rehearse", rehearse, "deploy a change over its base on real pods, under load"),
        ("status", status, "show what runs"),
        ("down", down, "end what runs and remove its state"),
        ("doctor", doctor, "say what this machine can do, what it lacks, and what mends it"),
        (
            "put-secret-value",
            put_secret_value,
            "rotate a secret of a sandbox, to the value on standard input",
        ),
    ):
        sub = commands.add_parser(name, help=help_text, description=help_text)
        sub.set_defaults(command=command)
        sub.add_argument(
            "--stack", help="the stack; status, down: all unless given; otherwise dev unless given"
        )
        sub.add_argument("--project", type=Path, default=Path.cwd(), help="the folder of the Pulumi project")
        # A rehearsal does not touch a sandbox that is in use.
        state_folder = Path(".sandbox", "rehearsal") if name == "rehearse" else Path(".sandbox")
        sub.add_argument(
            "--state", type=Path, default=state_folder, help="the folder of the sandboxes' state"
        )
        sub.add_argument("--cache", type=Path, default=default_cache(), help="the folder of the binaries")
        if name == "up":
            sub.add_argument(
                "--nodes",
                help="real or simulated; unless given what the sandbox began with, or real where it can be had",
            )
        if name == "put-secret-value":
            sub.add_argument("--secret-id", required=True, help="the entry's name or ARN")
        if name == "rehearse":
            sub.add_argument("--base", required=True, help="the git ref that is deployed first")
            sub.add_argument(
                "--output", type=Path, default=Path("build/rehearsal"), help="the folder of the reports"
            )
        if name in ("up", "status", "rehearse", "doctor"):
            sub.add_argument(
                "--json", action="store_true", help="print JSON; progress goes to standard error"
            )
    return parser


def default_cache() -> Path:
    """Where the binaries are kept unless an option says otherwise: outside the checkout, so that several share them."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "langgraph-agents" / "sandbox"


if __name__ == "__main__":
    sys.exit(main())
