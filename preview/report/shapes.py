"""What a picture is made of."""

from dataclasses import dataclass, field

WIDTH = 1240
"""Of the whole picture; its height is what it takes."""


@dataclass(frozen=True)
class Box:
    """A rectangle with a title and lines of text."""

    x: float
    y: float
    width: float
    height: float
    title: str
    lines: tuple[str, ...] = ()
    style: str = "card"
    """A class of the picture's style sheet."""
    urn: str = ""
    """What it stands for, where that is one resource."""

    @property
    def right(self) -> float:
        return self.x + self.width

    @property
    def bottom(self) -> float:
        return self.y + self.height

    @property
    def middle(self) -> float:
        return self.x + self.width / 2

    @property
    def centre(self) -> float:
        return self.y + self.height / 2


@dataclass(frozen=True)
class Arrow:
    """A curve from one box to another."""

    path: str
    """SVG path data."""
    label: str
    style: str = ""


@dataclass
class Picture:
    """All that is drawn, back to front."""

    height: float = 0
    areas: list[Box] = field(default_factory=list)
    cards: list[Box] = field(default_factory=list)
    arrows: list[Arrow] = field(default_factory=list)

    def card(self, urn: str) -> Box | None:
        """The card of a resource."""
        return next((card for card in self.cards if card.urn == urn), None)
