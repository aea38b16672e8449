"""Everything that a preview knows of a stack, gathered for those who show it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import policies
from policies.model import Finding
from preview import cost
from preview.change import timing
from preview.change.diff import PlanDiff, compare
from preview.change.impact import Impact, impact
from preview.change.stateful import LOST
from preview.exposure import Exposure, exposure
from preview.recording.plan import Plan, PlannedResource
from preview.report.nodes import PackedNodes, packed_nodes
from sandbox.engine import stackfile
from stacks.policy_exceptions import PolicyException

if TYPE_CHECKING:
    # Only who gives a file needs it.
    from preview.change.engine import EngineComparison, EnginePreview


@dataclass(frozen=True)
class Comparison:
    """What changes from a base."""

    base: str
    """What the base is called, as it was named."""
    diff: PlanDiff
    impact: Impact
    cost: cost.CostReport | None
    """Of the base; None where the base has a size without a price, which is for the base to answer."""
    timing: timing.UpdateTiming
    """What the update does, in its order."""
    engine: "EngineComparison | None" = None
    """What Pulumi's own preview says of the same change, where it was given."""


@dataclass(frozen=True)
class Review:
    """A plan, and what is to be said of it."""

    plan: Plan
    exposure: Exposure
    cost: cost.CostReport
    timing: timing.Timing
    findings: Sequence[Finding]
    nodes: PackedNodes | None
    """None where nodes are started to fit the pods."""
    comparison: Comparison | None = None

    @property
    def stateful(self) -> list[PlannedResource]:
        """The resources that hold state, those first that hold the most."""
        return self.plan.of_type(*LOST)

    @property
    def resources(self) -> list[PlannedResource]:
        """What providers make; components are only the folders that it lies in."""
        return [resource for resource in self.plan.resources.values() if resource.custom]


def review(
    plan: Plan,
    project_dir: Path,
    base: Plan | None = None,
    base_name: str = "",
    engine: "EnginePreview | None" = None,
) -> Review:
    """Judge a plan, and compare it with ``base`` where there is one.

    Args:
        engine: Pulumi's own preview of the change from ``base``.

    Raises:
        InputError: an exception of the stack file is wrong, or a price is not known.
    """
    reached = exposure(plan)
    comparison = None
    if base is not None:
        diff = compare(base, plan)
        found = impact(diff, exposure(base), reached)
        comparison = Comparison(
            base_name,
            diff,
            found,
            _cost(base),
            timing.estimate_update(diff, found.failures),
            engine.compared(diff) if engine else None,
        )
    return Review(
        plan=plan,
        exposure=reached,
        cost=cost.monthly(plan),
        timing=timing.estimate(plan),
        findings=policies.check(plan, exceptions(plan.stack, project_dir)),
        nodes=packed_nodes(plan),
        comparison=comparison,
    )


def _cost(base: Plan) -> cost.CostReport | None:
    try:
        return cost.monthly(base)
    except cost.PriceError:
        return None


def exceptions(stack: str, project_dir: Path) -> Sequence[PolicyException]:
    """The stack file's ``policyExceptions``.

    Raises:
        InputError: one is wrong.
    """
    project = stackfile.project_name(project_dir)
    return stackfile.load(project_dir, stack).for_policies(project).policy_exceptions
