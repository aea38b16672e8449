"""What may import what: docs/architecture.md says it, and the code keeps to it."""

import ast
import itertools
import re
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DOC = ROOT / "docs" / "architecture.md"


def _rows() -> Iterator[list[str]]:
    for line in DOC.read_text().splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip().strip("|").split("|")]


PARTS = {
    row[0].strip("`"): set(re.findall(r"`([\w.]+)`", row[2]))
    for row in _rows()
    if len(row) == 3 and "..." not in row[0]
}
"""By part, what it may import of the others."""

ROOMS = [row[0].strip("`") for row in _rows() if len(row) == 2 and "." in row[0]]
"""The rooms of all parts; within a part from the bottom up."""


def _sources() -> dict[str, Path]:
    found = {}
    for part in PARTS:
        base = ROOT / "service" if part == "langgraph_agents_service" else ROOT
        folder = base / part
        paths = sorted(folder.rglob("*.py")) if folder.is_dir() else [folder.with_suffix(".py")]
        for path in paths:
            name = ".".join(path.relative_to(base).with_suffix("").parts)
            found[name.removesuffix(".__init__")] = path
    return found


SOURCES = _sources()


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Line and module of each import of the project's own, those within functions included."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            whole = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in SOURCES else node.module for name in whole]
        for name in names:
            if name in SOURCES:
                yield getattr(node, "lineno", 0), name


def _room(module: str) -> str:
    """The room that a module is in, or the part where that has none."""
    return max(
        (room for room in (*ROOMS, *PARTS) if module == room or module.startswith(f"{room}.")), key=len
    )


def _part(module: str) -> str:
    return module.partition(".")[0]


def test_the_page_names_every_part_and_every_room() -> None:
    assert {"components", "stacks", "sandbox", "preview", "policies", "langgraph_agents_service"} <= set(
        PARTS
    )
    with_rooms = {_part(room) for room in ROOMS}
    there = {
        ".".join(module.split(".")[:2]) for module in SOURCES if _part(module) in with_rooms and "." in module
    }
    assert there == set(ROOMS)


def test_the_page_names_every_package_at_the_top() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")} - {"tests"}
    assert packages <= set(PARTS)


def test_imports_name_the_whole_module() -> None:
    relative = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in SOURCES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.level
    ]
    assert not relative, "the tests here, and readers, look for whole names"


def test_the_picture_shows_what_the_table_allows() -> None:
    picture = DOC.read_text().partition("```mermaid")[2].partition("```")[0]
    short = {"__main__": "main", "langgraph_agents_service": "service"}
    shown = set()
    for line in picture.splitlines():
        if "-->" in line:
            ends = [re.sub(r"\[.*?\]", "", end).strip() for end in line.split("-->")]
            shown |= set(itertools.pairwise(ends))
    allowed = {
        (short.get(_part(name), _part(name)), short.get(part, part))
        for part, names in PARTS.items()
        for name in names
    }
    assert shown == allowed


def test_no_part_imports_what_it_does_not_know() -> None:
    wrong = []
    for module, path in SOURCES.items():
        part = _part(module)
        for line, imported in _imports(path):
            other = _part(imported)
            allowed = {imported[: len(name)] for name in PARTS[part] if f"{imported}.".startswith(f"{name}.")}
            if other != part and not allowed:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {imported}")
    assert not wrong


def test_no_room_imports_upwards() -> None:
    wrong = []
    for module, path in SOURCES.items():
        room = _room(module)
        above = ROOMS[ROOMS.index(room) + 1 :] if room in ROOMS else []
        wrong += [
            f"{path.relative_to(ROOT)}:{line} imports {imported}, which stands above it"
            for line, imported in _imports(path)
            if _room(imported) in above and _part(imported) == _part(module)
        ]
    assert not wrong


def test_rooms_import_each_other_in_no_circle() -> None:
    graph: dict[str, set[str]] = {}
    for module, path in SOURCES.items():
        others = {_room(imported) for _, imported in _imports(path)}
        graph.setdefault(_room(module), set()).update(others - {_room(module)})
    assert list(TopologicalSorter(graph).static_order())


_AMBIENT = re.compile(
    r"pulumi\.(Config|get_(stack|project|organization)|runtime\.get_\w+)|os\.(environb?|getenvb?|getcwd|urandom)|open"
    r"|datetime\.(datetime\.(now|utcnow|today)|date\.today)|time\.(time|monotonic|perf_counter)(_ns)?"
    r"|(random|secrets|boto3|botocore)(\..+)?|uuid\.uuid[14]|pathlib\.Path\.(cwd|home)|pulumi_\w+\.Provider"
)
"""Whole names; PostgreSQL's passwords are resources of `pulumi_random`, which is another module than `random`."""


def _names_used(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and whole name of what a module imports and uses, whatever it calls it by itself."""
    whole = {"open": "open"}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
                name = alias.asname or alias.name.partition(".")[0]
                whole[name] = alias.name if alias.asname else name
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield node.lineno, f"{node.module}.{alias.name}"
                whole[alias.asname or alias.name] = f"{node.module}.{alias.name}"
    for node in ast.walk(tree):
        if isinstance(node, (ast.Name, ast.Attribute)):
            first, dot, rest = ast.unparse(node).partition(".")
            if first in whole:
                yield node.lineno, whole[first] + dot + rest


@pytest.mark.parametrize(
    "path",
    [path for module, path in SOURCES.items() if module.startswith("components")],
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_a_component_reads_no_ambient_state(path: Path) -> None:
    used = _names_used(ast.parse(path.read_text()))
    wrong = [
        f"{path.relative_to(ROOT)}:{line} uses {name}" for line, name in used if _AMBIENT.fullmatch(name)
    ]
    assert not wrong, "what a component needs comes in by its args"


def test_files_of_tests_have_names_that_pytest_can_tell_apart() -> None:
    names = [path.name for path in (ROOT / "tests").rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))
