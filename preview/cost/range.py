"""Figures that are only known from ... to."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Range:
    """From the least to the most: fewest replicas on a quiet day, most on a busy one."""

    low: float = 0.0
    high: float = 0.0

    @classmethod
    def exactly(cls, value: float) -> "Range":
        return cls(value, value)

    def __add__(self, other: "Range") -> "Range":
        return Range(self.low + other.low, self.high + other.high)

    def __sub__(self, other: "Range") -> "Range":
        """The difference between two states of one thing: low to low, and high to high."""
        return Range(self.low - other.low, self.high - other.high)

    def __mul__(self, other: "Range | float") -> "Range":
        factor = other if isinstance(other, Range) else Range.exactly(other)
        return Range(self.low * factor.low, self.high * factor.high)

    __rmul__ = __mul__
