"""Who knows whom: the picture in CONTRIBUTING.md against the imports in the code, read without running it.

import-linter would check the arrows between rooms, but neither where in a file a heavy package is imported nor circles
between single modules.
"""

import ast
import graphlib
import re
import sys
import textwrap
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
# What takes long to import, or is not installed everywhere: imported in the function that needs it.
HEAVY = {"docker", "llama_cpp", "openai", "plotly", "torch", "transformers", "uvicorn", "vllm", "xllamacpp"}
# What others bring: ipywidgets its traits; anyio, on Python 3.10, its groups of errors; PyYAML is imported as yaml.
COME_ALONG = {"exceptiongroup", "traitlets", "yaml"}
# Numbers in, numbers out: what these rooms may use besides the standard library.
PURE = {"controls": set(), "sampling": {"numpy", "regex"}, "memory": {"numpy"}, "planning": set(), "exercises": set()}


class Import(NamedTuple):
    importer: str
    imported: str
    where: str  # "module", "function" (runs later), or "type" (never runs)


def imports(name, source, modules):
    """The imports in one module's source. A module taken from a package (``from p import m``) counts as that module."""

    def visit(node, where):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from (Import(name, alias.name, where) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                assert not child.level, f"{name}: relative imports are not used here"
                full = [f"{child.module}.{alias.name}" for alias in child.names]
                yield from (Import(name, one if one in modules else child.module, where) for one in full)
            elif isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                yield from visit(child, "type")
            elif isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef)) and where == "module":
                yield from visit(child, "function")
            else:
                yield from visit(child, where)

    yield from visit(ast.parse(source), "module")


def read_house(sources):
    """All imports of a package, given as module name -> source."""
    return [found for name, source in sources.items() for found in imports(name, source, sources)]


def read_picture(text):
    """Room -> the rooms it may know, from the block in CONTRIBUTING.md."""
    block = re.search(r"^```house\n(.*?)^```", text, re.MULTILINE | re.DOTALL)[1]
    lines = (line.split("#")[0].split(":") for line in block.splitlines())
    return {room.strip(): known.split() for room, known in lines}


def within(name, room):
    return name == room or name.startswith(room + ".")


def room_of(module, picture):
    """The innermost room that a module lies in; the package's own ``__init__`` is the room ``courselib``."""
    inside = module.removeprefix("courselib.")
    return max((room for room in picture if within(inside, room)), key=len, default="")


def is_allowed(found, picture):
    here, there = room_of(found.importer, picture), room_of(found.imported, picture)
    if within(here, there):  # in one room, or what a room shares with the rooms inside it
        return True
    known = [target for room in picture if within(here, room) for target in picture[room]]
    return any(within(found.imported.removeprefix("courselib."), target) for target in known)


def wrong_arrows(found, picture):
    """Imports between rooms that the picture does not have. The package's own ``__init__`` offers everything."""
    ours = [one for one in found if within(one.imported, "courselib") and one.importer != "courselib"]
    return [one for one in ours if not is_allowed(one, picture)]


def circle(found):
    """A circle of modules that import each other at run time; empty if there is none."""
    graph = {}
    for one in found:
        if one.where != "type" and one.importer != one.imported:
            graph.setdefault(one.importer, set()).add(one.imported)
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return error.args[1]
    return []


@pytest.fixture(scope="module")
def sources():
    names = {path: ".".join(path.relative_to(ROOT).with_suffix("").parts) for path in ROOT.glob("courselib/**/*.py")}
    return {name.removesuffix(".__init__"): path.read_text(encoding="utf-8") for path, name in names.items()}


@pytest.fixture(scope="module")
def house(sources):
    return read_house(sources)


@pytest.fixture(scope="module")
def picture():
    return read_picture((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


def test_every_module_lies_in_a_room(sources, picture):
    assert [name for name in sources if not room_of(name, picture)] == []


def test_the_picture_has_no_arrow_back_up(picture):
    """Each room knows only rooms above it, so no two rooms can know each other."""
    above = []
    for room, known in picture.items():
        assert [target for target in known if not any(within(target, other) for other in above)] == [], room
        above.append(room)


def test_the_code_is_as_in_the_picture(house, picture):
    assert wrong_arrows(house, picture) == []


def test_no_modules_import_each_other_in_a_circle(house):
    assert circle(house) == []


def test_heavy_packages_are_imported_where_they_are_used(house):
    top = [one for one in house if one.where == "module"]
    assert [one for one in top if one.imported.split(".")[0] in HEAVY] == []


def loaded(start, house):
    """What is imported with a module: what it imports at once, and the packages that those lie in, and so on."""
    seen, left = set(), [start]
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            parts = name.split(".")
            left += [".".join(parts[:n]) for n in range(1, len(parts))]
            left += [one.imported for one in house if one.importer == name and one.where == "module"]
    return seen


def test_what_everybody_loads_comes_with_the_course_itself(house, sources):
    """`make lab` installs no package that only authors or tests need."""
    named = re.search(
        r"^dependencies = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(encoding="utf-8"), re.M | re.S
    )[1]
    ours = {name.lower().replace("-", "_") for name in re.findall(r'^  "([\w.-]+)', named, re.M)} | {"courselib"}
    everybody = set().union(*(loaded(name, house) for name in sources if not within(name, "courselib.authoring")))
    used = {name.split(".")[0].lower() for name in everybody} - set(sys.stdlib_module_names)
    assert used - ours - COME_ALONG == set()


@pytest.mark.parametrize("room", PURE)
def test_a_pure_room_uses_no_network_and_no_widgets(house, room):
    used = {one.imported.split(".")[0] for one in house if within(one.importer, f"courselib.{room}")}
    assert used - set(sys.stdlib_module_names) - {"courselib"} <= PURE[room]


# The same checks, on houses that are wrong.

SMALL = read_picture("```house\nerrors:\nengines: errors\nengines.a:\nengines.b:\npanels: engines\n```\n")


def small_house(**imports_of):
    names = ("courselib", "errors", "engines.base", "engines.a", "engines.b", "panels.one", "panels.two")
    sources = {name if name == "courselib" else f"courselib.{name}": "" for name in names}
    changed = {f"courselib.{name.replace('__', '.')}": textwrap.dedent(code) for name, code in imports_of.items()}
    return read_house(sources | changed)


@pytest.mark.parametrize(
    ("importer", "code", "wrong"),
    [
        ("panels__one", "from courselib.engines.a import x", False),
        ("engines__a", "from courselib.engines import base", False),
        ("engines__a", "from courselib import errors", False),
        ("panels__one", "from courselib.errors import x", True),  # not drawn
        ("engines__base", "import courselib.panels.one", True),
        ("engines__base", "from courselib.engines.a import x", True),
        ("engines__a", "from courselib.engines import b", True),
        ("engines__a", "def f():\n    from courselib.panels import one", True),
        ("engines__a", "if TYPE_CHECKING:\n    from courselib.panels.one import X", True),
        ("panels__one", "from courselib import launch", True),
    ],
)
def test_a_wrong_arrow_is_seen(importer, code, wrong):
    assert bool(wrong_arrows(small_house(**{importer: code}), SMALL)) == wrong


@pytest.mark.parametrize(
    ("back", "closes"),
    [
        ("import courselib.panels.one", True),
        ("class A:\n    def f(self):\n        from courselib.panels import one", True),
        ("if TYPE_CHECKING:\n    from courselib.panels.one import X", False),
    ],
)
def test_a_circle_is_seen(back, closes):
    found = small_house(panels__one="from courselib.panels.two import x", panels__two=back)
    assert bool(circle(found)) == closes
