"""The walls of the house: who may import whom, how long a module may be, and that everything says what it is for."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import backprop_tui

PACKAGE = Path(backprop_tui.__file__).parent
MODULES = sorted(path.relative_to(PACKAGE.parent).with_suffix("").as_posix().replace("/", ".") for path in PACKAGE.rglob("*.py"))
#: Modules above 400 lines, and why.
LONG: dict[str, str] = {
    "notation": "the printer of one grammar: to cut it would cut the precedences from the signs they hold for",
    "study.entries": "every op's written-out entry once, beside the others of its kind",
    "tui.screens.stepper": "one screen and its actions: what it draws and what it does is elsewhere",
}


def file_of(module: str) -> Path:
    return PACKAGE.parent / (module.replace(".", "/") + ".py")


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


@cache
def layers() -> list[str]:
    """The layers in the order of the map in the docstring of the package, the lowest first."""
    return re.findall(r"^    ([a-z_]+)/? {2,}\S", backprop_tui.__doc__ or "", re.M)


def layer_of(module: str) -> str:
    return module.split(".")[1]


def imports(module: str) -> Iterator[tuple[str, bool]]:
    """What a module imports, and whether only for its type annotations."""
    for_types: set[ast.AST] = set()
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for_types.update(inner for part in node.body for inner in ast.walk(part))
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, node in for_types
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports by a relative path"
            assert node.module is not None
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield (whole if whole in MODULES or f"{whole}.__init__" in MODULES else node.module), node in for_types


def own(imported: str) -> bool:
    return imported.split(".")[0] == "backprop_tui"


def test_the_map_names_every_module_once() -> None:
    found = {layer_of(module) for module in MODULES} - {"__init__", "__main__"}
    assert len(layers()) == len(set(layers()))
    assert set(layers()) == found


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_from_what_stands_above_it_in_the_map(module: str) -> None:
    if layer_of(module) in ("__init__", "__main__"):
        return
    place = layers().index(layer_of(module))
    for imported, for_types in imports(module):
        if not own(imported) or for_types:
            continue
        if imported == "backprop_tui":  # its version
            assert layer_of(module) == "cli"
            continue
        assert layers().index(layer_of(imported)) <= place, f"{module} imports {imported}"


#: Imports against the order, for annotations only.
AGAINST_THE_ORDER = {("backprop_tui.steps", "backprop_tui.recording")}


def test_imports_for_annotations_keep_the_order_but_for_those_listed() -> None:
    found = {
        (module, imported)
        for module in MODULES
        for imported, for_types in imports(module)
        if for_types and own(imported) and layer_of(module) not in ("__init__", "__main__")
        if layers().index(layer_of(imported)) > layers().index(layer_of(module))
    }
    assert found == AGAINST_THE_ORDER


def test_nothing_outside_tui_imports_textual_or_rich() -> None:
    for module in MODULES:
        if layer_of(module) != "tui":
            tops = {imported.split(".")[0] for imported, _ in imports(module)}
            assert tops.isdisjoint({"textual", "rich"}), module


def test_nothing_imports_the_command_line_or_the_screen_but_what_starts_them() -> None:
    for module in MODULES:
        layers_used = {layer_of(imported) for imported, _ in imports(module) if own(imported) and imported != "backprop_tui"}
        assert "cli" not in layers_used or layer_of(module) == "__main__", module
        assert "tui" not in layers_used or layer_of(module) in ("tui", "cli"), module


def test_only_the_dependencies_that_are_declared_are_imported() -> None:
    declared = {"numpy", "textual", "rich", "backprop_tui", "platformdirs"}
    for module in MODULES:
        tops = {imported.split(".")[0] for imported, _ in imports(module)}
        assert tops - declared <= set(sys.stdlib_module_names), module


def test_a_panel_holds_no_debugger_and_no_recording() -> None:
    for module in MODULES:
        if module.startswith("backprop_tui.tui.panels."):
            used = {layer_of(imported) for imported, _ in imports(module) if own(imported)}
            assert used.isdisjoint({"debugger", "recording", "plan", "steps", "graph", "scenario", "study"}), module


def loaded_after(statement: str) -> set[str]:
    """The modules that are loaded once a statement is executed in a fresh interpreter."""
    script = f"import sys; {statement}; print('\\n'.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    return set(done.stdout.split())


def test_importing_the_package_loads_no_screen() -> None:
    everything = "import backprop_tui as bt; [getattr(bt, name) for name in bt.__all__]"
    models = "import backprop_tui.view, backprop_tui.commands"
    for statement in ("import backprop_tui", everything, "import backprop_tui.cli", models):
        loaded = loaded_after(statement)
        assert {name.split(".")[0] for name in loaded}.isdisjoint({"textual", "rich"}), statement
        assert not any(name.startswith("backprop_tui.tui") for name in loaded)


def test_every_public_name_is_there_and_is_listed() -> None:
    for name in backprop_tui.__all__:
        assert getattr(backprop_tui, name) is not None
        assert name in dir(backprop_tui)
    with pytest.raises(AttributeError):
        backprop_tui.nothing  # noqa: B018  # asking is what is tested


@pytest.mark.parametrize("module", MODULES)
def test_a_module_above_four_hundred_lines_has_a_reason(module: str) -> None:
    lines = len(file_of(module).read_text(encoding="utf-8").splitlines())
    assert lines <= 400 or module.removeprefix("backprop_tui.") in LONG, f"{module} has {lines} lines"


@pytest.mark.parametrize("module", MODULES)
def test_every_public_module_class_and_function_says_what_it_is_for(module: str) -> None:
    tree = tree_of(module)
    missing = [] if ast.get_docstring(tree) else [module]

    def visit(node: ast.AST, path: str, overrides: bool) -> None:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.If, ast.Try, ast.With)):
                visit(child, path, overrides)
            if not isinstance(child, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)) or child.name.startswith("_"):
                continue
            if not ast.get_docstring(child) and not (overrides and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)):
                missing.append(f"{path}.{child.name}")
            if isinstance(child, ast.ClassDef):
                # a method that a base class names has its meaning from there
                visit(child, f"{path}.{child.name}", bool(child.bases))

    visit(tree, module, False)
    assert missing == []
