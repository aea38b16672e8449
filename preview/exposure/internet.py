"""What the internet can reach, and how it gets there."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from preview.exposure.labels import Selecting
from preview.exposure.model import INTERNET, Edge, Relation
from preview.exposure.network import ANYWHERE, Network, Rule
from preview.exposure.policies import NetworkPolicies
from preview.exposure.stores import Store
from preview.exposure.workloads import Workload
from preview.recording.plan import Plan, PlannedResource

_SCHEME = "service.beta.kubernetes.io/aws-load-balancer-scheme"
_TRAEFIK_CLASS = "traefik"
# What the traefik chart exposes unless its values say otherwise (values.yaml of chart 37).
_TRAEFIK_PORTS = (80, 443)
_TRAEFIK_LABELS = {"app.kubernetes.io/name": "traefik"}


def entries(
    plan: Plan, network: Network, policies: NetworkPolicies, running: Iterable[Workload]
) -> Iterator[Edge]:
    """Edges from the internet inwards, as far as the pods."""
    backends = _Backends(plan, running)
    # An Application Load Balancer calls the pods itself, from the public subnets.
    public = network.cidrs(s.id for s in plan.of_type("aws:ec2/subnet:Subnet") if network.is_public([s.id]))
    yield from _cluster_endpoints(plan)
    traefik = next(_traefik(plan), None)
    if traefik is not None:
        ports = ", ".join(f"{port}/tcp" for port in _TRAEFIK_PORTS)
        yield Edge(
            INTERNET,
            traefik.urn,
            Relation.CONNECTS,
            ports,
            ("its load balancer is internet-facing",),
            _ranges(traefik.inputs["values"]["service"]),
        )
    for ingress in plan.of_type("kubernetes:networking.k8s.io/v1:Ingress"):
        spec = ingress.inputs.get("spec") or {}
        hosts = sorted({str(rule.get("host") or "any host") for rule in spec.get("rules") or ()})
        by_traefik = traefik is not None and spec.get("ingressClassName") == _TRAEFIK_CLASS
        if traefik is not None and by_traefik:
            yield Edge(
                traefik.urn,
                ingress.urn,
                Relation.CONNECTS,
                ", ".join(f"https://{host}" for host in hosts),
                (f"Ingress {ingress.name} of the class {_TRAEFIK_CLASS}",),
            )
        elif spec.get("ingressClassName") == "alb" and _is_public_alb(ingress):
            by = ", ".join(f"{_alb_ports(ingress)} for {host}" for host in hosts)
            yield Edge(
                INTERNET,
                ingress.urn,
                Relation.CONNECTS,
                by,
                ("its load balancer is internet-facing",),
            )
        else:
            continue
        namespace = str(ingress.inputs["metadata"].get("namespace") or "default")
        for service, workload, port in backends.of(ingress, namespace):
            if by_traefik and traefik is not None:
                verdict = policies.from_pods(
                    namespace,
                    workload.labels,
                    port,
                    workload.ports,
                    str(traefik.inputs.get("namespace")),
                    _TRAEFIK_LABELS,
                )
            else:
                verdict = policies.from_addresses(namespace, workload.labels, port, workload.ports, public)
            if verdict.allowed:
                why = (f"Service {service.name}", verdict.why)
                yield Edge(ingress.urn, workload.resource.urn, Relation.CONNECTS, f"{port}/tcp", why)
    yield from _public_services(backends)


def open_stores(stores: Iterable[Store], network: Network) -> Iterator[Edge | str]:
    """Stores that a rule opens to the internet: an edge where it gets there, a sentence where it does not."""
    for store in stores:
        for rule in network.open_rules(store.groups):
            if not rule.lets(store.port):
                continue
            if store.public and network.is_public(store.subnets):
                yield Edge(
                    INTERNET,
                    store.resource.urn,
                    Relation.CONNECTS,
                    rule.ports,
                    (_opens(rule), "public address"),
                )
            else:
                reason = "no public address" if not store.public else "no route into its subnets"
                yield (
                    f"{store.resource.name}: {_opens(rule)}, and it has {reason}: "
                    "nothing gets there from outside, but everything in the VPC does"
                )


def _opens(rule: Rule) -> str:
    return f"{rule.by} opens {rule.ports} to {rule.cidr}"


def _cluster_endpoints(plan: Plan) -> Iterator[Edge]:
    for cluster in plan.of_type("aws:eks/cluster:Cluster"):
        config = cluster.inputs.get("vpcConfig") or {}
        if config.get("endpointPublicAccess") is not False:
            origins = tuple(config.get("publicAccessCidrs") or ("0.0.0.0/0",))
            yield Edge(
                INTERNET,
                cluster.urn,
                Relation.CONNECTS,
                "443/tcp, the Kubernetes API",
                ("endpointPublicAccess; callers need an access entry",),
                () if set(origins) & set(ANYWHERE) else origins,
            )


def _traefik(plan: Plan) -> Iterator[PlannedResource]:
    for release in plan.of_type("kubernetes:helm.sh/v3:Release"):
        service = (release.inputs.get("values") or {}).get("service") or {}
        annotations = service.get("annotations") or {}
        if release.inputs.get("chart") == "traefik" and annotations.get(_SCHEME) == "internet-facing":
            yield release


def _ranges(service: Mapping[str, Any]) -> tuple[str, ...]:
    ranges = service.get("loadBalancerSourceRanges") or (service.get("spec") or {}).get(
        "loadBalancerSourceRanges"
    )
    return tuple(ranges or ())


def _is_public_alb(ingress: PlannedResource) -> bool:
    annotations = (ingress.inputs.get("metadata") or {}).get("annotations") or {}
    return bool(annotations.get("alb.ingress.kubernetes.io/scheme") == "internet-facing")


def _alb_ports(ingress: PlannedResource) -> str:
    annotations = (ingress.inputs.get("metadata") or {}).get("annotations") or {}
    listen = annotations.get("alb.ingress.kubernetes.io/listen-ports") or '[{"HTTP": 80}]'
    return ", ".join(f"{port}/tcp" for entry in json.loads(listen) for port in entry.values())


class _Backends:
    """Services, and the pods behind them."""

    def __init__(self, plan: Plan, running: Iterable[Workload]) -> None:
        self.services = {
            (str(metadata.get("namespace") or "default"), str(metadata.get("name"))): service
            for service in plan.of_type("kubernetes:core/v1:Service")
            for metadata in [service.outputs["metadata"]]
        }
        selecting = Selecting(
            ((place[0], s) for place, s in self.services.items() if s.inputs["spec"].get("selector")),
            lambda entry: {"matchLabels": entry[1].inputs["spec"]["selector"]},
        )
        self._workloads: dict[str, list[Workload]] = {}
        for workload in running:
            for namespace, service in selecting.of(workload.labels):
                if namespace == workload.namespace:
                    self._workloads.setdefault(service.urn, []).append(workload)

    def behind(self, service: PlannedResource) -> list[Workload]:
        """The workloads whose pods a service sends requests to."""
        return self._workloads.get(service.urn, [])

    def of(self, ingress: PlannedResource, namespace: str) -> Iterator[tuple[PlannedResource, Workload, int]]:
        """The services of an Ingress, and their pods and ports."""
        backends = {
            (str(path["backend"]["service"]["name"]), *_number_or_name(path["backend"]["service"]))
            for rule in ingress.inputs["spec"].get("rules") or ()
            for path in (rule.get("http") or {}).get("paths") or ()
            if "service" in path.get("backend", {})
        }
        for name, *wanted in sorted(backends):
            service = self.services.get((namespace, name))
            for workload in self.behind(service) if service else ():
                for port in service.inputs["spec"].get("ports") or () if service else ():
                    if wanted and wanted[0] not in (str(port.get("port")), port.get("name")):
                        continue
                    target = port.get("targetPort", port.get("port"))
                    number = workload.ports.get(target) if isinstance(target, str) else target
                    if service is not None and number is not None:
                        yield service, workload, int(number)


def _number_or_name(backend: Mapping[str, Any]) -> tuple[str, ...]:
    """The port of a Service that a path leads to, where it is said."""
    port = backend.get("port") or {}
    return tuple(str(port[key]) for key in ("number", "name") if port.get(key))


def _public_services(backends: _Backends) -> Iterator[Edge]:
    for service in backends.services.values():
        spec = service.inputs.get("spec") or {}
        annotations = (service.inputs.get("metadata") or {}).get("annotations") or {}
        if spec.get("type") != "LoadBalancer" or annotations.get(_SCHEME) == "internal":
            continue
        ports = ", ".join(f"{port['port']}/tcp" for port in spec.get("ports") or ())
        yield Edge(INTERNET, service.urn, Relation.CONNECTS, ports, ("type LoadBalancer",), _ranges(spec))
        for workload in backends.behind(service):
            why = (f"Service {service.name}",)
            yield Edge(service.urn, workload.resource.urn, Relation.CONNECTS, ports, why)
