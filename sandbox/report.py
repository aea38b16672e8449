"""What a sandbox looks like: as data for programs, and as text for people."""

import json
from pathlib import Path
from typing import Any

import psutil
import yaml
from rich.table import Table

from sandbox import controlplane, processes
from sandbox.api import Api, Object
from sandbox.console import console
from sandbox.controlplane import running_endpoint
from sandbox.engine import Engine
from sandbox.machine.addons import traefik
from sandbox.state import State

_WORKLOADS = (("apps/v1", "Deployment"), ("batch/v1", "Job"), ("batch/v1", "CronJob"))

_ALWAYS = (
    ("Pulumi engine, state, diffs, secrets", "real", ""),
    ("Kubernetes API server, controllers, scheduler", "real", "schemas, admission, quotas, RBAC, rollouts"),
)

_SIMULATED = (
    ("nodes and pods", "simulated", "kwok: pods turn ready or complete, no container runs"),
    (
        "CRDs of cert-manager, Traefik, Prometheus",
        "real",
        "their published schemas; no controller acts on them",
    ),
    ("Secrets Store CSI, Helm releases", "emulated", "accepted, nothing is installed"),
    ("NetworkPolicies, HPA metrics", "accepted", "stored and judged, not enforced"),
    ("AWS, random, docker-build", "emulated", "plausible answers; passwords are random and stay secret"),
)


_REAL = (
    (
        "node, pods, Services, DNS",
        "real",
        "kubelet, containerd, runc, kube-proxy, CoreDNS in namespaces of their own",
    ),
    ("images", "real", "built by BuildKit from their Dockerfiles, used by digest"),
    ("RDS", "real PostgreSQL", "Debian's, with TLS, the instance's administrator and parameters"),
    ("ElastiCache", "real Redis", "Debian's, with TLS and the groups' users; one server, no replicas"),
    (
        "Secrets Manager in pods",
        "real files",
        "a Secret mounted where the CSI driver would; rotation reaches the pods",
    ),
    ("metrics-server, Traefik", "real", "beside the pods: the HPA scales, the Ingress answers by TLS"),
    ("cert-manager", "real", "an authority of the sandbox's own in the place of Let's Encrypt"),
    ("other add-ons and Helm releases", "emulated", "accepted, nothing is installed"),
    ("NetworkPolicies", "accepted", "stored and judged, not enforced"),
    ("the rest of AWS, random", "emulated", "plausible answers; passwords are random and stay secret"),
)


def describe(state: State) -> dict[str, Any]:
    """The state of a sandbox as data.

    Returns:
        `{stack, running, server, kubeconfig, processes: [{role, pid, memory_mib, listens}], workloads: [{namespace,
        kind, name, ready}], outputs}`; `server` is None, and `workloads` empty, unless it runs whole.
    """
    endpoint = running_endpoint(state) if state.exists else None
    found = processes.running(state.id) if state.exists else {}
    api = Api(endpoint) if endpoint else None
    try:
        return {
            "stack": state.stack,
            "running": endpoint is not None,
            "server": endpoint.server if endpoint else None,
            "kubeconfig": str(state.kubeconfig),
            "processes": [_process(role, each) for role, group in found.items() for each in group],
            "missing": controlplane.missing(state) if state.exists else [],
            "workloads": _workloads(api) if api else [],
            "outputs": json.loads(state.outputs.read_text()) if state.outputs.exists() else {},
        }
    finally:
        if api:
            api.close()


def show(description: dict[str, Any]) -> None:
    """Print what `describe` returned."""
    running = "[green]running[/]" if description["running"] else "[red]not running[/]"
    console.print(f"[bold]{description['stack']}[/] {running} {description['server'] or ''}")
    if description["processes"]:
        table = Table("process", "pid", "MiB", "listens on", box=None)
        for each in description["processes"]:
            table.add_row(each["role"], str(each["pid"]), str(each["memory_mib"]), ", ".join(each["listens"]))
        console.print(table)
    if not description["running"]:
        missing = f" (not running: {', '.join(description['missing'])})" if description["processes"] else ""
        console.print(f"Start it with `make up STACK={description['stack']}`{missing}.")
        return
    table = Table("namespace", "kind", "name", "ready", box=None)
    for each in description["workloads"]:
        table.add_row(each["namespace"], each["kind"], each["name"], each["ready"])
    console.print(table)
    show_outputs(description["outputs"])
    console.print(f"\nkubeconfig: {description['kubeconfig']}")


def show_outputs(outputs: dict[str, Any]) -> None:
    """Print a stack's outputs."""
    console.print()
    console.print("[bold]outputs[/]")
    console.print(yaml.safe_dump(outputs, width=1000).rstrip(), markup=False)


def show_reality(engine: Engine, *, real_node: bool) -> None:
    """Print what of the sandbox is real and what is not."""
    console.print(f"[dim]engine: {engine.pulumi_origin}[/]")
    table = Table("part", "is", "", box=None, show_header=False)
    for row in (*_ALWAYS, *(_REAL if real_node else _SIMULATED)):
        table.add_row(*row)
    console.print(table)


def show_agents(api: Api, state: State, engine: Engine) -> None:
    """Print how to ask the agents, by lines that work as they are."""
    kubectl = f"{engine.kubernetes / 'kubectl'} --kubeconfig {state.kubeconfig}"
    for service in api.list("v1", "Service", labels={"app.kubernetes.io/component": "server"}):
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        url = f"http://{service['spec']['clusterIP']}"
        key = f"{kubectl} -n {namespace} get secret {name} -o go-template='{{{{.data.API_KEYS | base64decode}}}}'"
        question = '{"input": {"messages": [{"role": "user", "content": "What is 6*7?"}]}}'
        asked = (
            f"curl --noproxy '*' -sS {url}/invoke -H \"X-API-Key: $KEY\" -H 'Content-Type: application/json'"
        )
        lines = [
            f"\n{name} answers at {url} (from this machine alone):",
            f"  KEY=$({key})",
            f"  {asked} -d '{question}'",
            f"  {kubectl} -n {namespace} logs -f deployment/{name}",
        ]
        console.print("\n".join(lines), markup=False)


def show_urls(api: Api, address: str, authority: Path) -> None:
    """Print how to ask through the Ingresses; nothing when Traefik serves none.

    Args:
        api: the cluster's.
        address: what Traefik listens on.
        authority: the certificate that vouches for the Ingresses.
    """
    for host in traefik.hosts(api):
        asked = f"curl --noproxy '*' -sS --resolve {host}:443:{address} --cacert {authority}"
        console.print(f"\n{host} answers by TLS:\n  {asked} https://{host}/ready", markup=False)


def show_next(state: State, engine: Engine) -> None:
    """Print where the cluster is and what to try."""
    kubectl = f"{engine.kubernetes / 'kubectl'} --kubeconfig {state.kubeconfig}"
    console.print(
        f"\nkubeconfig: {state.kubeconfig}\n\nTry:\n"
        f"  {kubectl} get all -A\n"
        f"  {kubectl} explain middleware.spec\n"
        f"  change a setting in Pulumi.{state.stack}.yaml, then `make up STACK={state.stack}` again\n"
        f"  make status STACK={state.stack}\n"
        f"  make down"
    )


def _process(role: str, process: psutil.Process) -> dict[str, Any]:
    try:
        memory = process.memory_info().rss >> 20
    except psutil.Error:
        memory = 0
    return {"role": role, "pid": process.pid, "memory_mib": memory, "listens": processes.listening(process)}


def _workloads(api: Api) -> list[dict[str, str]]:
    return [
        {
            "namespace": live["metadata"]["namespace"],
            "kind": kind,
            "name": live["metadata"]["name"],
            "ready": _ready(kind, live),
        }
        for api_version, kind in _WORKLOADS
        for live in api.list(api_version, kind)
    ]


def _ready(kind: str, live: Object) -> str:
    status, spec = live.get("status", {}), live["spec"]
    match kind:
        case "Deployment":
            return f"{status.get('availableReplicas', 0)}/{spec.get('replicas', 1)}"
        case "Job":
            return f"{status.get('succeeded', 0)}/{spec.get('completions', 1)}"
        case _:
            return str(spec.get("schedule", ""))
