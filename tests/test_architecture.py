"""The shape of the tree: who may import whom, what is public, how long a file may be."""

import ast
import json
import subprocess
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest

import gpuols

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "gpuols"
MAX_LINES = 300

# A module imports only from floors below its own. Inside a sub-package any module may import any
# other of its floor or lower ones, as long as there is no cycle. A dotted name is a module that has
# another floor than the rest of its sub-package.
FLOORS = {
    "columnar": 0,
    "errors": 0,
    "extras": 0,
    "files": 0,
    "lazy": 0,
    "numerics": 0,
    "places": 0,
    "records": 0,
    "units": 0,
    "version": 0,
    "words": 1,
    "labelled": 1,
    "options": 1,
    "selection": 1,
    "table": 1,
    "arrays": 2,
    "columns": 2,
    "datafile": 3,
    "formula": 3,
    "matrix": 5,
    "coefficients": 7,
    "flights": 2,
    "keys": 3,
    "moments": 3,
    "plan": 2,
    "sums": 2,
    "refined": 5,
    "rows": 4,
    "shapes": 3,
    "missing": 5,
    "engines": 5,
    "engines.arguments": 1,
    "engines.device": 1,
    "engines.exchange": 1,
    "engines.jit.compiling": 1,
    "engines.jit.hashing": 1,
    "engines.helpers": 1,
    "engines.kernels": 1,
    "engines.labels": 2,
    "engines.ordering": 1,
    "engines.reasons": 1,
    "engines.tables": 1,
    "engines.threads": 2,
    "engines.transfer": 1,
    "engines.workspace": 1,
    "engines.reserve": 2,
    "problems": 6,
    "inference": 6,
    "contrasts": 7,
    "costs": 7,
    "covariance": 6,
    "info": 7,
    "picture": 7,
    "precompile": 12,
    "prediction": 7,
    "statistics": 8,
    "holding": 7,
    "special": 2,
    "storage": 7,
    "summary": 7,
    "result": 9,
    "call": 10,
    "fit": 11,
    "streaming": 11,
    "demo": 12,
    "estimator": 12,
    "frame": 12,
    "filefit": 13,
    "cli": 14,
    "__main__": 15,
    "__init__": 15,
}

# What `import gpuols` must not cost anybody.
HEAVY = (
    "cupy",
    "numba",
    "pandas",
    "polars",
    "pyarrow",
    "narwhals",
    "formulaic",
    "torch",
    "jax",
    "scipy.stats",
    "sklearn",
    "statsmodels",
    "matplotlib",
)


def sources_under(folder: Path) -> dict[str, str]:
    """Path below the folder, with forward slashes -> source text."""
    return {
        path.relative_to(folder).as_posix(): path.read_text(encoding="utf-8")
        for path in sorted(folder.rglob("*.py"))
    }


# (a) imports go down floors only


def module_name(path: str) -> str:
    """`engines/cpu.py` -> `engines.cpu`; `engines/__init__.py` -> `engines`."""
    parts = path.removesuffix(".py").split("/")
    if len(parts) > 1 and parts[-1] == "__init__":
        parts.pop()
    return ".".join(parts)


def imported_names(path: str, source: str, known: set[str]) -> Iterator[tuple[int, str]]:
    """Line and module of every import from the package, wherever in the file it stands."""

    def resolve(dotted: str) -> str:
        """The longest known module that a dotted name below the package starts with."""
        parts = dotted.split(".") if dotted else []
        while parts and ".".join(parts) not in known:
            # A first part that is no module is a name that the package itself gives out.
            parts.pop()
        return ".".join(parts) or "__init__"

    def below_package(dotted: str) -> str | None:
        if dotted == "gpuols":
            return ""
        return dotted.removeprefix("gpuols.") if dotted.startswith("gpuols.") else None

    here = ["gpuols", *path.split("/")[:-1]]
    for node in ast.walk(ast.parse(source)):
        targets: list[str] = []
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = here[: len(here) - node.level + 1] if node.level else []
            base += node.module.split(".") if node.module else []
            targets = [".".join([*base, alias.name]) for alias in node.names]
        elif isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            called = ast.unparse(node.func).split(".")[-1]
            if called in {"import_module", "__import__"}:
                targets = [str(node.args[0].value)]
                if targets[0].startswith("."):
                    targets = [".".join([*here, targets[0].lstrip(".")])]
        for target in targets:
            below = below_package(target)
            if below is not None:
                yield node.lineno, resolve(below)


def floor_name(module: str, floors: Mapping[str, int]) -> str:
    """The name in `floors` that a module goes by: its own, or that of its top."""
    return module if module in floors else module.split(".")[0]


def find_cycle(graph: Mapping[str, Iterable[str]]) -> list[str]:
    """The modules of one import cycle, or nothing."""
    done: set[str] = set()

    def walk(module: str, trail: list[str]) -> list[str]:
        if module in trail:
            return [*trail[trail.index(module) :], module]
        if module in done:
            return []
        for target in graph.get(module, ()):
            if cycle := walk(target, [*trail, module]):
                return cycle
        done.add(module)
        return []

    for module in graph:
        if cycle := walk(module, []):
            return cycle
    return []


def import_faults(sources: Mapping[str, str], floors: Mapping[str, int]) -> list[str]:
    """Every import that does not go down, every cycle, every module without a floor."""
    modules = {module_name(path): path for path in sources}
    faults = [
        f"gpuols/{path}: no floor for {module.split('.')[0]!r}: add it to FLOORS in "
        "tests/test_architecture.py, above all that it imports"
        for module, path in modules.items()
        if module.split(".")[0] not in floors
    ]
    if faults:
        return faults
    inside: dict[str, set[str]] = {}
    for module, path in modules.items():
        top, own = module.split(".")[0], floors[floor_name(module, floors)]
        for line, target in imported_names(path, sources[path], set(modules)):
            # The package's own __init__ is what `from gpuols import name` reaches.
            other = floors.get(floor_name(target, floors))
            within = target.split(".")[0] == top
            if within and target != module:
                # `from .` in a sub-package's own __init__ names the sub-package: no edge.
                inside.setdefault(module, set()).add(target)
            if other is None or (other > own if within else other >= own):
                faults.append(
                    f"gpuols/{path}:{line}: {module} (floor {own}) imports {target} "
                    f"(floor {other}): imports go down only"
                )
    if cycle := find_cycle(inside):
        faults.append("import cycle: " + " -> ".join(cycle))
    return faults


def test_imports_go_down():
    assert import_faults(sources_under(PACKAGE), FLOORS) == []


def test_every_floor_is_in_use():
    modules = {module_name(path) for path in sources_under(PACKAGE)}
    tops = {module.split(".")[0] for module in modules}
    assert sorted(set(FLOORS) - tops - modules) == [], "FLOORS names modules that are not there"


TOY_FLOORS = {"low": 0, "beside": 0, "sub.base": 1, "mid": 2, "sub": 3, "__init__": 4}
TOY = {
    "__init__.py": "from gpuols.mid import f\n",
    "low.py": "import os\n",
    "beside.py": "",
    "mid.py": "from gpuols.low import a\nfrom . import beside\nfrom gpuols.sub import base\n",
    "sub/__init__.py": "from gpuols.sub.one import b\nfrom .one import b\n",
    "sub/one.py": "from gpuols.sub.two import c\nfrom ..mid import f\n",
    "sub/two.py": "import gpuols.low\n",
    "sub/three.py": "from .base import d\n",
    "sub/base.py": "from gpuols.low import a\n",
}


def test_import_checker_accepts_a_good_tree():
    assert import_faults(TOY, TOY_FLOORS) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        pytest.param("low.py", "import gpuols.mid\n", id="up"),
        pytest.param("low.py", "from gpuols.mid import f\n", id="up-from"),
        pytest.param("low.py", "from gpuols import mid\n", id="up-from-package"),
        pytest.param("low.py", "from gpuols import f\n", id="up-to-init"),
        pytest.param("low.py", "from . import f\n", id="up-to-init-relative"),
        pytest.param("low.py", "import gpuols\n", id="up-to-init-plain"),
        pytest.param("low.py", "from .mid import f\n", id="up-relative"),
        pytest.param("low.py", "from .beside import g\n", id="sideways"),
        pytest.param("low.py", "def f():\n    from gpuols.mid import f\n", id="up-lazy"),
        pytest.param(
            "low.py",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from .sub.two import c\n",
            id="up-typing-only",
        ),
        pytest.param(
            "low.py", "import importlib\nimportlib.import_module('gpuols.mid')\n", id="by-name"
        ),
        pytest.param(
            "low.py",
            "from importlib import import_module\nimport_module('.mid', __package__)\n",
            id="by-relative-name",
        ),
        pytest.param("mid.py", "from gpuols.sub.one import b\n", id="up-into-sub-package"),
        pytest.param("low.py", "from gpuols.sub import base\n", id="up-into-dotted"),
        pytest.param("sub/base.py", "from gpuols.mid import f\n", id="dotted-up"),
        pytest.param("sub/base.py", "from .two import c\n", id="dotted-up-inside"),
        pytest.param("sub/two.py", "from .one import b\n", id="cycle-inside"),
        pytest.param("sub/two.py", "from . import b\n", id="cycle-through-sub-init"),
        pytest.param("new.py", "", id="no-floor"),
    ],
)
def test_import_checker_can_fail(path: str, source: str):
    faults = import_faults({**TOY, path: source}, TOY_FLOORS)
    assert len(faults) == 1
    wanted = "add it to FLOORS" if path == "new.py" else "cycle|go down only"
    assert any(word in faults[0] for word in wanted.split("|"))


# (b) importing the package is cheap


def modules_loaded_by(code: str, names: Iterable[str], folder: Path) -> list[str]:
    """Which of the named modules a fresh interpreter has after the code."""
    report = f"print(json.dumps([name for name in {list(names)!r} if name in sys.modules]))"
    script = f"{code}\nimport json, sys\n{report}"
    run = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True
    )
    loaded: list[str] = json.loads(run.stdout)
    return loaded


def test_import_is_light():
    assert modules_loaded_by("import gpuols", HEAVY, ROOT) == []


def test_light_import_checker_can_fail(tmp_path: Path):
    (tmp_path / "gpuols.py").write_text("import polars\n")
    (tmp_path / "polars.py").write_text("")
    assert modules_loaded_by("import gpuols", HEAVY, tmp_path) == ["polars"]


# (c) one module imports CuPy

CUPY_MODULE = "engines/device.py"


def importers_of_cupy(sources: Mapping[str, str]) -> list[str]:
    """The files in which CuPy is imported, by a statement or by its name in a call."""

    def names(node: ast.AST) -> list[str]:
        if isinstance(node, ast.Import):
            return [alias.name for alias in node.names]
        if isinstance(node, ast.ImportFrom):
            return [node.module or ""]
        called = ast.unparse(node.func).split(".")[-1] if isinstance(node, ast.Call) else ""
        if called not in {"import_module", "__import__"}:
            return []
        return [value.value for value in node.args if isinstance(value, ast.Constant)]

    return [
        path
        for path, source in sources.items()
        if any(
            str(name).partition(".")[0] in {"cupy", "cupyx", "cupy_backends"}
            for node in ast.walk(ast.parse(source))
            for name in names(node)
        )
    ]


def test_one_module_imports_cupy():
    assert importers_of_cupy(sources_under(PACKAGE)) == [CUPY_MODULE]


@pytest.mark.parametrize(
    "line",
    [
        "import cupy",
        "import cupy.cuda as c",
        "from cupyx.scipy import special",
        "def f():\n    import numpy, cupy_backends",
        "importlib.import_module('cupy')",
        "__import__('cupyx.scipy.special')",
    ],
)
def test_cupy_checker_can_fail(line: str):
    assert importers_of_cupy({"a.py": line, "b.py": "import numpy\nx = 'cupy'\n"}) == ["a.py"]


# (d) what is public is listed and documented


def is_for_types(node: ast.AST) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`, with or without a module before it."""
    return isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")


def bound_names(source: str) -> set[str]:
    """The public names that a module's top level binds, or looks up when they are asked for."""
    names: set[str] = set(names_for_types(source))
    for node in ast.parse(source).body:
        if is_for_types(node) or (isinstance(node, ast.ImportFrom) and node.module == "__future__"):
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            names |= {(alias.asname or alias.name).split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        else:
            names |= {
                leaf.id
                for leaf in ast.walk(node)
                if isinstance(leaf, ast.Name) and isinstance(leaf.ctx, ast.Store)
            }
    return {name for name in names if not name.startswith("_")}


def names_for_types(source: str) -> dict[str, str]:
    """Name -> module of what a module imports for type checkers alone."""
    return {
        alias.asname or alias.name: node.module or ""
        for block in ast.parse(source).body
        if is_for_types(block)
        for node in ast.walk(block)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def public_faults(module: types.ModuleType, source: str) -> list[str]:
    """Names bound but not listed, listed but not bound, or without a docstring of their own."""
    listed = {*module.__all__, *getattr(module, "_LAZY", ())} - {"__version__"}
    bound = bound_names(source)
    faults = [f"{name} is public but not in __all__" for name in sorted(bound - listed)]
    faults += [f"{name} is in __all__ but not bound" for name in sorted(listed - bound)]
    for name in sorted(listed & bound):
        value = getattr(module, name)
        # A class inherits no docstring here, and a dataclass makes one up from its signature.
        doc = vars(value).get("__doc__") if isinstance(value, type) else value.__doc__
        made_up = isinstance(value, type) and (doc or "").startswith(f"{value.__name__}(")
        of_its_type = not isinstance(value, type) and doc == type(value).__doc__
        if not (doc or "").strip() or made_up or of_its_type:
            faults.append(f"{name} has no docstring")
    return faults


def test_public_names_are_listed_and_documented():
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    assert public_faults(gpuols, source) == []


def test_all_names_nothing_twice():
    assert len(set(gpuols.__all__)) == len(gpuols.__all__)


def test_what_is_imported_late_is_what_type_checkers_are_told():
    source = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
    assert names_for_types(source) == gpuols._LAZY != {}


def test_dir_names_what_is_public():
    code = "import gpuols\nassert {*gpuols.__all__, *gpuols._LAZY} <= set(dir(gpuols))"
    assert modules_loaded_by(code, ["sklearn"], ROOT) == []


def test_all_that_is_listed_can_be_had_without_scikit_learn():
    code = "import sys\nsys.modules['sklearn'] = None\nfrom gpuols import *\nimport gpuols\nfit"
    listed = "import inspect\ninspect.getmembers(gpuols)"
    without = "import importlib.util\nimportlib.util.find_spec = lambda name: None"
    assert modules_loaded_by(f"{without}\n{code}\n{listed}", ["polars"], ROOT) == []


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'gpuols' has no attribute 'fitt'"):
        gpuols.fitt  # noqa: B018


@pytest.mark.parametrize(
    ("source", "faults"),
    [
        ("__all__ = ['f']\ndef f():\n    'Doc.'\n", []),
        ("__all__ = []\ndef f():\n    'Doc.'\n", ["f is public but not in __all__"]),
        ("__all__ = []\nfrom math import pi\n", ["pi is public but not in __all__"]),
        ("__all__ = []\nx = 1\n", ["x is public but not in __all__"]),
        ("__all__ = ['f']\n", ["f is in __all__ but not bound"]),
        (
            "import typing as _typing\n"
            "__all__ = ['f']\n"
            "if _typing.TYPE_CHECKING:\n    from m import f, g\n"
            "else:\n    def f():\n        'Doc.'\n",
            ["g is public but not in __all__"],
        ),
        ("__all__ = ['f']\ndef f():\n    return 1\n", ["f has no docstring"]),
        ("__all__ = ['x']\nx = 1\n", ["x has no docstring"]),
        ("__all__ = ['C']\nclass C(ValueError):\n    pass\n", ["C has no docstring"]),
        (
            "__all__ = ['C']\n"
            "from dataclasses import dataclass as _dataclass\n"
            "@_dataclass\nclass C:\n    x: int\n",
            ["C has no docstring"],
        ),
    ],
)
def test_public_checker(source: str, faults: list[str]):
    toy = types.ModuleType("toy")
    sys.modules["toy"] = toy  # dataclasses look their module up
    try:
        exec(source, toy.__dict__)
    finally:
        del sys.modules["toy"]
    assert public_faults(toy, source) == faults


# (e) files stay short


def long_files(sources: Mapping[str, str], limit: int = MAX_LINES) -> list[str]:
    """The files with more lines than the limit."""
    counts = {path: len(source.splitlines()) for path, source in sources.items()}
    return [f"{path}: {count} lines" for path, count in counts.items() if count > limit]


def test_files_are_short():
    assert long_files(sources_under(PACKAGE)) == []


def test_long_file_checker():
    sources = {"fits.py": "x\n" * MAX_LINES, "long.py": "x\n" * (MAX_LINES + 1)}
    assert long_files(sources) == [f"long.py: {MAX_LINES + 1} lines"]


# (f) nothing is skipped without a word

SKIPS = {"skip", "skipif", "xfail", "skipTest", "skipIf", "skipUnless", "expectedFailure"}


def gives_reason(call: ast.Call, constants: Mapping[str, object]) -> bool:
    """Whether a call to skip or xfail carries a reason that is not blank."""
    reasons = [keyword.value for keyword in call.keywords if keyword.arg == "reason"]
    dotted = ast.unparse(call.func)
    if dotted.endswith(("mark.skipif", "mark.xfail")):
        pass  # their first argument is a condition
    elif dotted.endswith(("skipIf", "skipUnless")):
        reasons += call.args[1:]
    else:
        reasons += call.args[:1]
    if not reasons:
        return False
    reason = reasons[0]
    if isinstance(reason, ast.Name) and reason.id in constants:
        reason = ast.Constant(constants[reason.id])
    if isinstance(reason, ast.Constant):
        return isinstance(reason.value, str) and bool(reason.value.strip())
    return True


def wordless_skips(sources: Mapping[str, str]) -> list[str]:
    """Where a test is skipped, or expected to fail, without a reason string."""
    faults = []
    for path, source in sources.items():
        tree = ast.parse(source)
        constants = {
            target.id: node.value.value
            for node in tree.body
            if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        calls = {id(node.func): node for node in ast.walk(tree) if isinstance(node, ast.Call)}
        for node in ast.walk(tree):
            named = isinstance(node, ast.Attribute) and node.attr in SKIPS
            if named and (id(node) not in calls or not gives_reason(calls[id(node)], constants)):
                faults.append(f"{path}:{node.lineno}: {ast.unparse(node)} without a reason")
            if isinstance(node, ast.ImportFrom) and node.module in {"pytest", "unittest"}:
                faults += [
                    f"{path}:{node.lineno}: {alias.name} imported bare: write pytest.{alias.name}"
                    for alias in node.names
                    if alias.name in SKIPS
                ]
    return faults


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_every_skip_has_a_reason(folder: str):
    assert wordless_skips(sources_under(ROOT / folder)) == []


@pytest.mark.parametrize(
    "line",
    [
        "@pytest.mark.skip",
        "@pytest.mark.skip()",
        "@pytest.mark.skip(reason='')",
        "@pytest.mark.skip(reason=None)",
        "@pytest.mark.skip(reason=BLANK)",
        "@pytest.mark.skipif(True)",
        "@pytest.mark.skipif(True, reason=' ')",
        "@pytest.mark.xfail",
        "@pytest.mark.xfail(strict=True)",
        "@pytest.mark.xfail('os.name')",
        "@pytest.mark.parametrize('x', [pytest.param(1, marks=pytest.mark.xfail)])",
        "@unittest.expectedFailure",
        "@unittest.skipIf(True)",
    ],
)
def test_skip_checker_can_fail(line: str):
    assert len(wordless_skips({"t.py": f"BLANK = ''\n{line}\ndef test_f(x): pass\n"})) == 1


@pytest.mark.parametrize("line", ["pytest.skip()", "pytest.xfail('')", "from pytest import skip"])
def test_skip_checker_can_fail_inside_a_test(line: str):
    assert len(wordless_skips({"t.py": f"def test_f():\n    {line}\n"})) == 1


@pytest.mark.parametrize(
    "line",
    [
        "@pytest.mark.skip('no device')",
        "@pytest.mark.skip(reason='no device')",
        "@pytest.mark.skipif(True, reason=WHY)",
        "@pytest.mark.skipif(True, reason=f'no {WHY}')",
        "@pytest.mark.xfail(reason='known to fail', strict=True)",
        "@pytest.mark.gpu",
    ],
)
def test_skip_checker_accepts_a_reason(line: str):
    assert wordless_skips({"t.py": f"WHY = 'no device'\n{line}\ndef test_f(): pass\n"}) == []
