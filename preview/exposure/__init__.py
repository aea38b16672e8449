"""Who reaches what: security groups, routes, NetworkPolicies, Pod Identity and IAM, followed as one graph."""

from collections.abc import Iterable, Iterator

from preview.exposure.beyond import leaves, uses
from preview.exposure.identities import reads
from preview.exposure.internet import entries, open_stores
from preview.exposure.model import INTERNET, Edge, Exposure, Relation
from preview.exposure.network import Network
from preview.exposure.policies import NetworkPolicies
from preview.exposure.stores import forwards, reaches, stores
from preview.exposure.workloads import Workload, workloads
from preview.recording.plan import Plan

__all__ = ["INTERNET", "Edge", "Exposure", "Relation", "exposure"]


def exposure(plan: Plan) -> Exposure:
    """The graph of a plan."""
    network, policies = Network(plan), NetworkPolicies(plan)
    running = list(workloads(plan))
    all_stores = list(stores(plan, network))
    opened = list(open_stores(all_stores, network))
    edges = [
        *entries(plan, network, policies, running),
        *(edge for edge in opened if isinstance(edge, Edge)),
        *reaches(all_stores, running, network, policies),
        *forwards(all_stores, network, plan),
        *_runs_as(plan, running),
        *reads(plan),
        *leaves(network, running, policies),
        *uses(plan),
    ]
    return Exposure(tuple(edges), tuple(sentence for sentence in opened if isinstance(sentence, str)))


def _runs_as(plan: Plan, running: Iterable[Workload]) -> Iterator[Edge]:
    accounts = {
        (
            account.outputs["metadata"].get("namespace", "default"),
            account.outputs["metadata"]["name"],
        ): account
        for account in plan.of_type("kubernetes:core/v1:ServiceAccount")
    }
    for workload in running:
        account = accounts.get((workload.namespace, workload.service_account))
        if account is not None:
            yield Edge(
                workload.resource.urn,
                account.urn,
                Relation.RUNS_AS,
                f"{workload.namespace}/{workload.service_account}",
            )
