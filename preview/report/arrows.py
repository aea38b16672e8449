"""The arrows of the picture: connections that are allowed, and secrets that may be read."""

from preview.exposure import INTERNET, Exposure, Relation
from preview.exposure.workloads import workloads
from preview.recording.plan import Plan
from preview.report.shapes import WIDTH, Arrow, Box, Picture


def connect(plan: Plan, exposure: Exposure, picture: Picture) -> None:
    """Draw who reaches whom between the cards that there are."""
    entry = next((card for card in picture.cards if card.style == "entry"), None)
    internet, operators = picture.card(INTERNET), picture.card("operators")
    if entry and internet:
        picture.arrows.append(_sideways(internet, entry, "HTTPS", "public"))
    cluster = next((area for area in picture.areas if area.style == "cluster"), None)
    if operators and cluster:
        picture.arrows.append(_sideways(operators, cluster, "Kubernetes API", "limited"))
    secrets = picture.card("all:aws:secretsmanager/secret:Secret")
    if secrets and cluster and exposure.of(Relation.READS):
        picture.arrows.append(_sideways(cluster, secrets, "pods read their secrets", "reads"))
    for workload in workloads(plan):
        card = picture.card(workload.resource.urn)
        if card is None:
            continue
        if entry and _is_served(exposure, workload.resource.urn):
            picture.arrows.append(_down(entry, card, "requests"))
        for edge in exposure.out_of(workload.resource.urn):
            store = picture.card(edge.target)
            if store is not None and edge.relation is Relation.CONNECTS:
                picture.arrows.append(_to_store(card, store, picture, edge.by))


def _is_served(exposure: Exposure, urn: str) -> bool:
    return any(path[0].source == INTERNET for path in exposure.paths_to(urn))


def _down(source: Box, target: Box, label: str) -> Arrow:
    # Each card has its own place on the other's edge, so that lines do not lie on each other.
    share = 0.15 + 0.7 * ((source.middle if source.width < target.width else target.middle) / WIDTH)
    x1 = source.x + source.width * (share if source.width > target.width else 0.5)
    x2 = target.x + target.width * (share if target.width >= source.width else 0.5)
    bend = (target.y - source.bottom) / 2
    path = (
        f"M{x1:.1f} {source.bottom:.1f} C{x1:.1f} {source.bottom + bend:.1f}"
        f" {x2:.1f} {target.y - bend:.1f} {x2:.1f} {target.y:.1f}"
    )
    return Arrow(path, label)


def _to_store(source: Box, store: Box, picture: Picture, label: str) -> Arrow:
    """Past the stores above it, where there are any: through the gap between two zones, and in from the side."""
    above = [card for card in picture.cards if card.style == "store" and card.y < store.y]
    if not above:
        return _down(source, store, label)
    gap, top = store.right + 14, above[0].y - 14
    bend = (top - source.bottom) / 2
    return Arrow(
        f"M{source.middle:.1f} {source.bottom:.1f} C{source.middle:.1f} {source.bottom + bend:.1f}"
        f" {gap:.1f} {top - bend:.1f} {gap:.1f} {top:.1f} L{gap:.1f} {store.centre - 10:.1f}"
        f" Q{gap:.1f} {store.centre:.1f} {store.right:.1f} {store.centre:.1f}",
        label,
    )


def _sideways(source: Box, target: Box, label: str, style: str) -> Arrow:
    y2 = min(max(source.centre, target.y + 12), target.bottom - 12)
    bend = (target.x - source.right) / 2
    path = (
        f"M{source.right:.1f} {source.centre:.1f} C{source.right + bend:.1f} {source.centre:.1f}"
        f" {target.x - bend:.1f} {y2:.1f} {target.x:.1f} {y2:.1f}"
    )
    return Arrow(path, label, style)
