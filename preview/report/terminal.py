"""What a person reads in a terminal."""

from collections import Counter
from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.tree import Tree

from preview.change import wording
from preview.change.diff import SIGNS, Change, Status
from preview.change.effects import effects
from preview.exposure import INTERNET, Edge
from preview.recording.plan import Plan, PlannedResource
from preview.report import figures
from preview.report.explain import Explanation
from preview.report.review import Comparison, Review
from sandbox.engine.steps import minutes

_COLOURS = {
    Status.CREATED: "green",
    Status.UPDATED: "yellow",
    Status.REPLACED: "magenta",
    Status.DELETED: "red",
    Status.MOVED: "cyan",
}
_LONGEST_LIST = 12
_PROPERTIES = 6


def show(review: Review, console: Console) -> None:
    """The whole preview."""
    plan = review.plan
    console.print(
        f"[bold]{plan.project}[/] stack [bold]{plan.stack}[/] in {plan.region}: "
        f"{wording.count(len(plan.agents), 'agent')}, {wording.count(len(review.resources), 'resource')}"
    )
    if review.comparison:
        _show_changes(review, review.comparison, console)
    else:
        console.print(_tree(plan))
    _show_exposure(review, console)
    if not review.comparison:
        _heading(console, "Stateful")
        _lines(console, (_stateful(resource) for resource in review.stateful))
    if review.nodes:
        _heading(console, "Nodes")
        _lines(console, [review.nodes.summary, *(f"no room for {pods}" for pods in review.nodes.left_over)])
    _heading(console, "Cost")
    for line in figures.cost_lines(review):
        console.print(f"  {escape(line)}")
    _heading(console, "Time to deploy from nothing")
    for line in figures.time_lines(review):
        console.print(f"  {escape(line)}")
    _show_findings(review, console)
    console.print()


def show_briefly(review: Review, console: Console) -> None:
    """A few lines: what it is, what it costs, how long it takes, what is open."""
    plan = review.plan
    entrances = [edge for edge in review.exposure.edges if edge.source == INTERNET]
    findings = (
        wording.count(len(review.findings), "policy finding") if review.findings else "all policies hold"
    )
    console.print(
        f"Stack [bold]{plan.stack}[/]: {wording.count(len(plan.agents), 'agent')},"
        f" {wording.count(len(review.resources), 'resource')}; on AWS {figures.total(review.cost)} a month,"
        f" {figures.duration(review)} to deploy; {findings}"
    )
    for edge in entrances:
        console.print(f"[dim]{escape(wording.edge(edge, plan))}[/]")


def show_explanation(explained: Explanation, console: Console) -> None:
    """What is known of one resource."""
    resource = explained.resource
    agent = f", of the agent {explained.agent}" if explained.agent else ""
    console.print(f"[bold]{escape(resource.name)}[/] {escape(resource.type)}{agent}")
    for title, lines in (
        ("Made by", explained.made_by),
        ("Needs", explained.needs),
        ("Needed by", explained.needed_by),
        ("Reached by", explained.reached),
        ("Reaches", explained.reaches),
    ):
        _heading(console, title)
        _lines(console, map(escape, lines), most=len(lines))
    if explained.more_paths:
        console.print(f"  and {explained.more_paths} more paths")


def _tree(plan: Plan) -> Tree:
    tree = Tree("", hide_root=True, guide_style="dim")
    for child in _by_name(plan.children()):
        _branch(plan, child, tree)
    return tree


def _branch(plan: Plan, resource: PlannedResource, tree: Tree) -> None:
    if resource.custom:
        tree.add(f"{escape(resource.name)} [dim]{escape(resource.kind)}[/]")
        return
    below = list(plan.descendants(resource.urn))
    own = Counter(r.kind for r in plan.children(resource.urn) if r.custom)
    kinds = ", ".join(f"{kind}{f' x{number}' if number > 1 else ''}" for kind, number in sorted(own.items()))
    branch = tree.add(
        f"[bold]{escape(resource.name)}[/] [dim]{sum(r.custom for r in below)}[/]"
        f"{f'  {kinds}' if kinds else ''}"
    )
    for child in _by_name(plan.children(resource.urn)):
        if not child.custom:
            _branch(plan, child, branch)


def _by_name(resources: Iterable[PlannedResource]) -> list[PlannedResource]:
    return sorted(resources, key=lambda resource: (resource.custom, resource.name))


def _show_changes(review: Review, comparison: Comparison, console: Console) -> None:
    _heading(console, f"Changes from {comparison.base}: {comparison.diff.headline}")
    if not comparison.diff.changes:
        console.print("  none")
    impact = comparison.impact
    for sentence in impact.errors:
        console.print(f"  [bold red]error[/] {escape(sentence)}")
    for refusal in impact.refused:
        console.print(
            f"  [bold red]refused[/] {escape(refusal.what)}: {escape(refusal.why)}.\n"
            f"      Instead: {escape(refusal.instead)} [dim]({escape(refusal.source)})[/]"
        )
    for door in impact.one_way:
        console.print(f"  [bold red]cannot be undone[/] {escape(door)}")
    for sentence in impact.out_of_reach:
        console.print(f"  [bold red]out of reach[/] {escape(sentence)}")
    for change in comparison.diff.changes:
        _show_change(change, review.plan, console)
    if comparison.diff.changes:
        _heading(console, "Impact")
        for sentence in impact.notes:
            console.print(f"  note: {escape(sentence)}")
        restarting = ", ".join(restart.agent for restart in impact.restarts) or "no agent"
        touched = "; ".join(f"{store.store}: {store.how}" for store in impact.stores) or "none"
        console.print(f"  restarts: {escape(restarting)}")
        console.print(f"  stores touched: {escape(touched)}")
        console.print(f"  requests can fail: {'yes' if impact.failures else 'no'}")
        for sentence in impact.failures:
            console.print(f"    {escape(sentence)}")
        for path in impact.unknown:
            console.print(f"  not known what this does: {escape(path)}")
    if comparison.engine:
        console.print(f"  Pulumi's own preview ({escape(comparison.engine.file)}) {comparison.engine}")
        for disagreement in comparison.engine.disagreements:
            console.print(f"    [bold red]otherwise[/] {escape(str(disagreement))}")
    if comparison.diff.changes:
        _heading(console, f"Order and time of this change: {minutes(comparison.timing.total)}")
        for line in figures.update_lines(comparison.timing):
            console.print(f"  {escape(line)}")
    _edges(console, "opened", impact.opened, comparison, review)
    _edges(console, "closed", impact.closed, comparison, review)


def _edges(
    console: Console, word: str, edges: Iterable[Edge], comparison: Comparison, review: Review
) -> None:
    for edge in edges:
        console.print(f"  {word}: {escape(wording.edge(edge, review.plan, comparison.diff.before))}")


def _show_change(change: Change, plan: Plan, console: Console) -> None:
    colour = _COLOURS[change.status]
    resource = change.resource
    guarded = (
        " [reverse] protected [/]"
        if resource.protect
        else " [reverse] stateful [/]"
        if change.guarded
        else ""
    )
    console.print(
        f"  [{colour}]{SIGNS[change.status]} {change.status:<8}[/] {escape(wording.title(resource))}{guarded}"
    )
    if change.loses:
        console.print(f"      [red]lost: {escape(change.loses)}[/]")
    for note in change.notes:
        console.print(f"      {escape(note)}")
    for difference in change.differences[:_PROPERTIES]:
        why = " [magenta]replaces[/]" if difference.path in change.reasons else ""
        console.print(
            f"      [dim]{escape(difference.path)}:[/] {escape(wording.value(difference.before, 60))}"
            f" → {escape(wording.value(difference.after, 60))}{why}"
        )
    if (left := len(change.differences) - _PROPERTIES) > 0:
        console.print(f"      [dim]and {left} more properties[/]")
    for effect in effects(change, plan):
        if effect.told:
            console.print(f"      {escape(effect.told)}")


def _show_exposure(review: Review, console: Console) -> None:
    _heading(console, "Exposed to the internet")
    edges = [e for e in review.exposure.edges if e.source == INTERNET or e.by.startswith("https://")]
    _lines(console, (escape(wording.edge(edge, review.plan)) for edge in edges))
    for sentence in review.exposure.open_but_unreachable:
        console.print(f"  [yellow]{escape(sentence)}[/]")
    if review.exposure.beyond:
        _heading(console, "Beyond the stack")
        _lines(console, (escape(wording.edge(edge, review.plan)) for edge in review.exposure.beyond))


def _stateful(resource: PlannedResource) -> str:
    protected = " [green]protected[/]" if resource.protect else ""
    return f"{escape(resource.name)} [dim]{escape(resource.kind)}[/]{protected}"


def _show_findings(review: Review, console: Console) -> None:
    _heading(console, "Policies")
    if not review.findings:
        console.print("  [green]all hold[/]")
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for finding in review.findings:
        table.add_row(
            f"[red]{finding.severity}[/]",
            escape(finding.resource),
            f"{escape(finding.message)}\n[dim]{escape(finding.remedy)} ({escape(finding.rule)})[/]",
        )
    console.print(Padding(table, (0, 0, 0, 2)))


def _heading(console: Console, text: str) -> None:
    console.print(f"\n[bold]{escape(text)}[/]")


def _lines(console: Console, lines: Iterable[str], most: int = _LONGEST_LIST) -> None:
    shown = list(lines)
    for line in shown[:most]:
        console.print(f"  {line}")
    if len(shown) > most:
        console.print(f"  [dim]and {len(shown) - most} more[/]")
    if not shown:
        console.print("  [dim]none[/]")
