"""The price table: ``prices.yaml``, and how a size is looked up in it."""

import functools
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from importlib.resources import files
from typing import Any

import yaml

from preview.cost.range import Range

#: AWS's own month.
HOURS = 730


class UnknownSizeError(Exception):
    """A size that the table has no price for; the message names it and those of its kind that there are."""


@dataclass(frozen=True)
class Prices:
    """One region's prices, USD."""

    region: str
    """The region that they are of."""
    as_of: date
    table: Mapping[str, Any]
    _all: Mapping[str, Any]

    def of(self, name: str) -> float:
        """A price that does not depend on a size."""
        return float(self.table[name])

    def monthly(self, name: str) -> float:
        """A price by the hour, for a month."""
        return self.of(name) * HOURS

    def usage(self, name: str) -> Range:
        """An assumption of the table."""
        low, high = self._all["usage"][name]["range"]
        return Range(low, high)

    def instance_month(self, instance_type: str) -> float:
        """An EC2 instance, such as ``m7i.large``.

        Raises:
            UnknownSizeError: the table does not have it.
        """
        return HOURS * self._sized("ec2LargeHour", instance_type, *_split(instance_type))

    def instance_shape(self, instance_type: str) -> tuple[float, float]:
        """The vCPUs and the GiB of memory of an EC2 instance type.

        Raises:
            UnknownSizeError: the table does not have it.
        """
        family, size = _split(instance_type)
        factor = self._factor("ec2LargeHour", instance_type, family, size)
        memory_per_cpu = self._all["memoryPerCpu"][family[0]]
        cpus = 2.0 * max(factor, 1) if family.startswith("t") else 2.0 * factor
        return cpus, 2.0 * factor * memory_per_cpu

    def database_month(self, instance_class: str) -> float:
        """An RDS PostgreSQL instance in one zone, such as ``db.m7g.large``.

        Raises:
            UnknownSizeError: the table does not have it.
        """
        return HOURS * self._listed_or_sized("rdsPostgres", instance_class)

    def database_cpus(self, instance_class: str) -> float:
        """The vCPUs of an RDS instance; burstable ones have two at least.

        Raises:
            UnknownSizeError: the table does not have it.
        """
        # An unknown class is reported as such.
        self.database_month(instance_class)
        size = instance_class.rpartition(".")[2]
        return max(2.0, 2.0 * float(self._all["sizes"][size]))

    def cache_month(self, node_type: str, engine: str) -> float:
        """An ElastiCache node, such as ``cache.m7g.large``.

        Raises:
            UnknownSizeError: the table does not have it.
        """
        share = self.of("elasticacheValkeyShare") if engine == "valkey" else 1
        return HOURS * share * self._listed_or_sized("elasticache", node_type)

    def cache_memory(self, node_type: str) -> float:
        """GiB of memory of an ElastiCache node, roughly: that of the instance it runs on."""
        family, size = _split(node_type.removeprefix("cache."))
        return float(2 * self._all["sizes"][size] * self._all["memoryPerCpu"][family[0]])

    def is_free(self, type_: str) -> bool:
        """Whether AWS asks nothing for resources of this type."""
        return type_ in self._all["free"]

    def assumptions(self) -> list[str]:
        """What the figures take for granted, a sentence each."""
        return [
            f"{entry['range'][0]:g} to {entry['range'][1]:g} {entry['of']}"
            if entry["range"][0] != entry["range"][1]
            else f"{entry['range'][0]:g} {entry['of']}"
            for entry in self._all["usage"].values()
        ]

    def not_included(self) -> list[str]:
        """What costs money and is in no figure."""
        return list(self._all["notIncluded"])

    def _listed_or_sized(self, kind: str, name: str) -> float:
        listed = self.table[f"{kind}Hour"]
        if name in listed:
            return float(listed[name])
        return self._sized(f"{kind}LargeHour", name, *_split(name.split(".", 1)[-1]))

    def _sized(self, families: str, name: str, family: str, size: str) -> float:
        factor = self._factor(families, name, family, size)
        return float(self.table[families][family]) * factor

    def _factor(self, families: str, name: str, family: str, size: str) -> float:
        known, sizes = self.table[families], self._all["sizes"]
        if family not in known or size not in sizes:
            raise UnknownSizeError(
                f"the price table has no {name} in {self.region}: add it to preview/cost/prices.yaml ({families};"
                f" docs/cost.md says how), or take one of the families {', '.join(known)} in {', '.join(sizes)}"
            )
        return float(sizes[size])


def _split(instance_type: str) -> tuple[str, str]:
    family, _, size = instance_type.partition(".")
    return family, size


def prices_of(region: str) -> Prices:
    """The prices of a region; those of the table's fallback where it has none, which ``Prices.region`` then names."""
    table = _load()
    priced = region if region in table["regions"] else table["fallbackRegion"]
    return Prices(region=priced, as_of=table["asOf"], table=table["regions"][priced], _all=table)


@functools.cache
def _load() -> Mapping[str, Any]:
    table: Mapping[str, Any] = yaml.safe_load((files(__package__) / "prices.yaml").read_text())
    return table
