"""What a stack costs a month, by AWS's list prices (docs/cost.md)."""

from preview.cost.range import Range
from preview.cost.report import AgentCost, Change, CostReport, Item, PriceError, monthly

__all__ = ["AgentCost", "Change", "CostReport", "Item", "PriceError", "Range", "monthly"]
