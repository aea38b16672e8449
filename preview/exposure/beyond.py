"""What leads out of a stack: networks that NetworkPolicies open, and what identities may use of AWS."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from preview.exposure.identities import holders, service_accounts, statements
from preview.exposure.model import Edge, Relation
from preview.exposure.network import ANYWHERE, Network
from preview.exposure.policies import NetworkPolicies
from preview.exposure.workloads import Workload
from preview.recording.plan import Plan

# Of Pod Identity's agent and of the metadata service: on the node itself.
_ON_THE_NODE = "169.254."


def leaves(network: Network, running: Iterable[Workload], policies: NetworkPolicies) -> Iterator[Edge]:
    """An edge from every workload to every network that a policy opens to it: not the stack's own, nor the internet."""
    own = set(network.cidrs(network.subnets))
    for workload in running:
        for policy, rule in policies.egress(workload.namespace, workload.labels):
            for peer in rule.get("to") or ():
                cidr = str((peer.get("ipBlock") or {}).get("cidr") or "")
                if cidr and cidr not in own and cidr not in ANYWHERE and not cidr.startswith(_ON_THE_NODE):
                    yield Edge(
                        workload.resource.urn,
                        cidr,
                        Relation.CONNECTS,
                        ", ".join(map(_port, rule.get("ports") or ())) or "all ports",
                        (f"NetworkPolicy {policy}",),
                    )


def uses(plan: Plan) -> Iterator[Edge]:
    """An edge from every service account of the stack to all that its role may use and the stack did not make."""
    accounts, given = service_accounts(plan), holders(plan)
    own = {str(resource.outputs.get("arn")) for resource in plan.resources.values()}
    said = statements(plan)
    for role in plan.of_type("aws:iam/role:Role"):
        for account in given.get(str(role.outputs.get("arn")), ()):
            identity = accounts.get(account)
            if identity is None:
                continue
            for each in said.get(str(role.outputs.get("name")), ()):
                for arn in each.resources:
                    if each.statement.get("Effect") == "Allow" and arn not in own:
                        why = f"{each.policy} of the role {role.name}{_condition(each.statement)}"
                        yield Edge(identity, arn, Relation.USES, ", ".join(each.actions), (why,))


def _port(port: Mapping[str, Any]) -> str:
    last = f"-{port['endPort']}" if port.get("endPort") else ""
    return f"{port.get('port')}{last}/{str(port.get('protocol', 'TCP')).lower()}"


def _condition(statement: Mapping[str, Any]) -> str:
    condition = statement.get("Condition")
    return f", where {json.dumps(condition, sort_keys=True)}" if condition else ""
