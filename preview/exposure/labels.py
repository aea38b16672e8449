"""Label selectors, and finding what they select without trying everything on everything."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

Labels = Mapping[str, str]
Selector = Mapping[str, Any]
T = TypeVar("T")


def selects(selector: Selector, labels: Labels) -> bool:
    """Whether a label selector selects what carries ``labels``; an empty one selects everything."""
    if any(labels.get(key) != value for key, value in (selector.get("matchLabels") or {}).items()):
        return False
    return all(_meets(expression, labels) for expression in selector.get("matchExpressions") or ())


def _meets(expression: Mapping[str, Any], labels: Labels) -> bool:
    key, values = expression["key"], expression.get("values") or ()
    match expression["operator"]:
        case "In":
            return labels.get(key) in values
        case "NotIn":
            return labels.get(key) not in values
        case "Exists":
            return key in labels
        case _:
            return key not in labels


class Selecting(Generic[T]):
    """Things that select by labels (policies, services), each found by the rarest label that it asks for."""

    def __init__(self, things: Iterable[T], selector: Callable[[T], Selector]) -> None:
        self._selector = selector
        asked = [(thing, (selector(thing).get("matchLabels") or {}).items()) for thing in things]
        frequency = Counter(label for _, labels in asked for label in labels)
        self._by_label: dict[tuple[str, str] | None, list[tuple[int, T]]] = {}
        for number, (thing, labels) in enumerate(asked):
            rarest = min(labels, key=lambda label: (frequency[label], label), default=None)
            self._by_label.setdefault(rarest, []).append((number, thing))

    def of(self, labels: Labels) -> list[T]:
        """Those that select what carries ``labels``, in their order."""
        candidates = [entry for label in (None, *labels.items()) for entry in self._by_label.get(label, ())]
        return [
            thing for _, thing in sorted(candidates, key=_number) if selects(self._selector(thing), labels)
        ]


def _number(entry: tuple[int, Any]) -> int:
    return entry[0]
