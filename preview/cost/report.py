"""The monthly cost of a plan, by component and by agent."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Literal

from preview.cost.charges import AUTO_MODE_INSTANCE, CHARGES, Costing
from preview.cost.prices import Prices, UnknownSizeError, prices_of
from preview.cost.range import Range
from preview.cost.requests import requested
from preview.recording.plan import Plan, PlannedResource
from sandbox.common.errors import InputError

_NODE_GROUP = "aws:eks/nodeGroup:NodeGroup"


class PriceError(InputError):
    """Sizes that the table has no price for; the message names each with its resource."""


@dataclass(frozen=True)
class Item:
    """One charge of one resource."""

    urn: str
    name: str
    """The resource's logical name."""
    component: str
    """The outermost component around it: an agent's name, or a part of the platform."""
    agent: str
    """The agent that it belongs to; "" for what agents share."""
    what: str
    """What is charged, such as ``3 to 9 x m7i.xlarge``."""
    monthly: Range
    """USD."""


@dataclass(frozen=True)
class AgentCost:
    """What one agent costs, USD a month."""

    own: Range
    """What would not be there without it: its secrets, its load balancer's rules."""
    nodes: Range
    """The part of the shared nodes that its pods' requests fill, at its fewest and its most replicas. It is a part of
    the nodes' cost, not added to it."""


@dataclass(frozen=True)
class Change:
    """What a component cost before, and what it costs now; None where it is not there."""

    component: str
    before: Range | None
    after: Range | None

    @property
    def difference(self) -> Range:
        return (self.after or Range()) - (self.before or Range())


@dataclass(frozen=True)
class CostReport:
    """USD a month, from fewest replicas and little use to most replicas and much."""

    region: str
    """The stack's."""
    priced_region: str
    """The region whose prices these are: the stack's, unless the table has none of it."""
    as_of: date
    """When the table was written."""
    items: tuple[Item, ...]
    agents: Mapping[str, AgentCost]
    """By name."""
    unpriced: tuple[str, ...]
    """Types of the plan that cost something, or may, and are in no figure."""
    assumptions: tuple[str, ...]
    """What the figures take for granted."""
    not_included: tuple[str, ...]
    """What a plan does not contain, and no figure includes."""

    @cached_property
    def total(self) -> Range:
        """Of everything."""
        return _sum(item.monthly for item in self.items)

    @cached_property
    def by_component(self) -> Mapping[str, Range]:
        """The dearest first."""
        sums: dict[str, Range] = {}
        for item in self.items:
            sums[item.component] = sums.get(item.component, Range()) + item.monthly
        return dict(sorted(sums.items(), key=lambda entry: (-entry[1].high, entry[0])))

    @property
    def notes(self) -> list[str]:
        """What a reader has to know of the figures."""
        notes = [
            f"AWS list prices of {self.priced_region}, on demand, as of {self.as_of}; verify before you budget"
        ]
        if self.region != self.priced_region:
            notes.append(
                f"the price table has no {self.region}: {self.priced_region} stands in, and most regions cost up to a"
                " third more"
            )
        if self.unpriced:
            notes.append(f"not priced: {', '.join(self.unpriced)}")
        return notes

    def difference(self, base: "CostReport") -> Range:
        """What this costs more than ``base``."""
        return self.total - base.total

    def changes(self, base: "CostReport") -> list[Change]:
        """The components whose cost differs from ``base``, the largest difference first."""
        names = sorted(self.by_component.keys() | base.by_component.keys())
        changes = [Change(name, base.by_component.get(name), self.by_component.get(name)) for name in names]
        changed = [change for change in changes if _is_visible(change.difference)]
        return sorted(changed, key=lambda change: -abs(change.difference.high))


def monthly(plan: Plan) -> CostReport:
    """What a plan costs.

    Raises:
        PriceError: it has sizes without a price; all of them are named.
    """
    costing = Costing(plan, prices_of(plan.region))
    items: list[Item] = []
    problems: list[str] = []
    for resource in plan.resources.values():
        charges = CHARGES.get(resource.type)
        if charges is None:
            continue
        try:
            for what, cost in charges(costing, resource):
                items.append(_item(plan, resource, what, cost))
        except UnknownSizeError as error:
            problems.append(f"{resource.name}: {error}")
    if problems:
        raise PriceError("\n".join(problems))
    return CostReport(
        region=plan.region,
        priced_region=costing.prices.region,
        as_of=costing.prices.as_of,
        items=tuple(items),
        agents=_agents(plan, costing.prices, items),
        unpriced=tuple(sorted({r.type for r in plan.resources.values() if _is_unpriced(r, costing.prices)})),
        assumptions=tuple(costing.prices.assumptions()),
        not_included=tuple(costing.prices.not_included()),
    )


def _item(plan: Plan, resource: PlannedResource, what: str, cost: Range) -> Item:
    return Item(
        urn=resource.urn,
        name=resource.name,
        component=plan.top_component(resource) or resource.name,
        agent=plan.agent(resource),
        what=what,
        monthly=cost,
    )


def _is_unpriced(resource: PlannedResource, prices: Prices) -> bool:
    """Only AWS charges for something here; what Kubernetes objects cost is in the nodes and load balancers."""
    return resource.package == "aws" and resource.type not in CHARGES and not prices.is_free(resource.type)


def _agents(plan: Plan, prices: Prices, items: Iterable[Item]) -> dict[str, AgentCost]:
    own: dict[str, Range] = {}
    for item in items:
        own[item.agent] = own.get(item.agent, Range()) + item.monthly
    least, most = _node_shares(plan, prices, "min"), _node_shares(plan, prices, "max")
    return {
        agent: AgentCost(own.get(agent, Range()), Range(least.get(agent, 0), most.get(agent, 0)))
        for agent in plan.agents
    }


def _node_shares(plan: Plan, prices: Prices, end: Literal["min", "max"]) -> dict[str, float]:
    """What each agent's pods take of nodes like the first group's."""
    groups = plan.of_type(_NODE_GROUP)
    instance_type = groups[0].inputs["instanceTypes"][0] if groups else AUTO_MODE_INSTANCE
    cores, gibibytes = prices.instance_shape(instance_type)
    node = prices.instance_month(instance_type)
    shares: dict[str, float] = {}
    for need in requested(plan, end):
        agent = plan.agent(need.deployment)
        shares[agent] = shares.get(agent, 0) + node * need.nodes(cores, gibibytes)
    return shares


def _is_visible(difference: Range) -> bool:
    """Whether it is half a cent at least; sums of the same figures in another order differ by less."""
    return max(abs(difference.low), abs(difference.high)) >= 0.005


def _sum(ranges: Iterable[Range]) -> Range:
    return sum(ranges, start=Range())
