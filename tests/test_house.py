"""Rules of the code that `lint-imports` cannot state. docs/architecture.md explains them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nerf_mini

ROOT = Path(__file__).parents[1]
LONGEST_FUNCTION = 60  # lines, with decorators, signature and docstring
DIFFERENTIATING = {
    "checkpoint", "elementwise_grad", "grad", "hessian", "hvp", "jacobian", "jvp", "linearize", "value_and_grad", "vjp",
}  # fmt: skip
MAY_DIFFERENTIATE = ("nerf_mini.training", "nerf_mini.benchmark")
MAY_IMPORT_KERNELS = ("nerf_mini.ops", "nerf_mini.benchmark", "nerf_mini.kernels")


def modules(package: str) -> Iterator[tuple[str, ast.Module]]:
    """Name and syntax tree of each module of a package; a package itself has the name `package.__init__`."""
    for file in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        yield name, ast.parse(file.read_text(encoding="utf-8"))


def imported(name: str, tree: ast.Module) -> Iterator[str]:
    """The dotted names that a module imports, anywhere in it, as `module` or `module.attribute`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parent = name.split(".")[: -node.level] if node.level else []
            module = ".".join([*parent, *([node.module] if node.module else [])])
            yield from (f"{module}.{alias.name}" for alias in node.names)


def bound(tree: ast.Module) -> Iterator[tuple[str, str]]:
    """The names that a module binds at its top, each with the dotted name it is imported from, if it is imported."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, ""
        elif isinstance(node, ast.Assign):
            yield from ((target.id, "") for target in node.targets if isinstance(target, ast.Name))
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            yield node.target.id, ""
        elif isinstance(node, ast.ImportFrom):
            yield from ((alias.asname or alias.name, f"{node.module}.{alias.name}") for alias in node.names)


def below(name: str, parts: tuple[str, ...]) -> bool:
    return any(name == part or name.startswith(part + ".") for part in parts)


def test_no_name_hides_a_module():
    """`import nerf_mini.ops.mlp as m` gives the module only if no function of that name stands beside it."""
    names = {name.removesuffix(".__init__") for name, _ in modules("nerf_mini")}
    hiding = []
    for name, tree in modules("nerf_mini"):
        module = name.removesuffix(".__init__")
        for own, origin in bound(tree):
            if not origin and own == module.rpartition(".")[2]:
                hiding.append(f"{module} defines {own}")
            if name.endswith("__init__") and f"{module}.{own}" in names - {origin}:
                hiding.append(f"{module}.{own} is a module, and {origin or own}")
    assert not hiding


def test_no_function_is_longer_than_a_screen():
    long = []
    for name, tree in [*modules("autodiff"), *modules("nerf_mini")]:
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                lines = (node.end_lineno or first) - first + 1
                if lines > LONGEST_FUNCTION:
                    long.append(f"{name}.{node.name}: {lines} lines")
    assert not long


def test_only_training_differentiates():
    calls = {f"{module}.{name}" for module in ("autodiff", "autodiff.transforms") for name in DIFFERENTIATING}
    found = {f"{name}: {what}" for name, tree in modules("nerf_mini") for what in imported(name, tree) if what in calls}
    assert not {line for line in found if not below(line.partition(":")[0], MAY_DIFFERENTIATE)}
    assert "nerf_mini.training.step: autodiff.value_and_grad" in found


def test_few_files_import_kernels():
    """One file per operator, and the benchmark's tables: where a second backend would stand."""
    kernels = ("nerf_mini.kernels",)
    importers = {name for name, tree in modules("nerf_mini") if any(below(w, kernels) for w in imported(name, tree))}
    outside = {name for name in importers if not below(name, MAY_IMPORT_KERNELS)}
    assert not outside
    assert len([name for name in importers if below(name, ("nerf_mini.benchmark",))]) <= 2


def test_every_folder_of_modules_is_a_package():
    """A folder without `__init__.py` would be missing from the wheel."""
    folders = {file.parent for package in ("autodiff", "nerf_mini") for file in (ROOT / package).rglob("*.py")}
    assert not [str(folder.relative_to(ROOT)) for folder in folders if not (folder / "__init__.py").exists()]


def test_the_drawn_architecture_is_that_of_the_imports():
    script = ROOT / "scripts" / "draw_architecture.py"
    result = subprocess.run([sys.executable, str(script), "--check"], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_citation_is_of_this_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"\nversion: {nerf_mini.__version__}\n" in citation
