"""What an import may do, what never enters the repository, and that import-linter finds nothing.

python -m pytest tests/test_architecture.py
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[1]

PAGE = {"app", "page"}
OWN = {"segzero", "train", *PAGE}

MAX_LINES = 300
MAX_FILES = 15  # in one folder
MAX_TEST_LINES = 400  # tests grow by cases, not by ideas
LONG_FILES: dict[str, str] = {}  # path -> why it is one thing and stays one file

MAX_FILE_BYTES = 10 * 1000 * 1000
MAX_REPO_BYTES = 250 * 1000 * 1000

HEAVY = {"torch", "torchvision", "transformers", "gradio"}
LIGHT_MODULES = (
    "segzero",
    "segzero.contract",
    "segzero.data",
    "segzero.evaluation",
    "segzero.reasoner",
    "segzero.segmenter",
    "train.rewards",
)
"""Read by tools that have no torch, by a command line that must answer at once, and by reward workers."""

IMPORT_NAMES = {"pillow": "PIL", "opencv-python-headless": "cv2", "pyyaml": "yaml"}
"""Distributions whose import name is not their own with '-' for '_'."""

BROUGHT_OTHERWISE = {"spaces", "OpenEXR", "resvg_py", "trimesh", "vtkmodules"}
"""A ZeroGPU Space has `spaces` itself; the others only rebuild the sprite packs
(train/mini/world/sprites.py)."""


def tracked() -> list[Path]:
    """Every file git knows of, or would take: the tree as it will be committed."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPO, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("not a git checkout: there is no list of the repository's files")
    return [path for name in listed.stdout.split("\0") if name and (path := REPO / name).is_file()]


def program_files() -> list[Path]:
    """The Python files of the program itself, tests left out."""
    return sorted(
        path for top in OWN for path in [REPO / f"{top}.py", *(REPO / top).rglob("*.py")] if path.exists()
    )


def module_name(path: Path) -> str:
    """segzero/contract/answer.py -> segzero.contract.answer; segzero/__init__.py -> segzero."""
    parts = path.relative_to(REPO).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def imports(path: Path) -> Iterator[str]:
    """Full dotted names of what a file imports, at its top or inside a function, relative ones resolved."""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    for node in ast.walk(parse(path)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            yield ".".join([*base, *([node.module] if node.module else [])])


def import_roots(path: Path) -> set[str]:
    return {name.split(".")[0] for name in imports(path)}


def relative(path: Path) -> str:
    return path.relative_to(REPO).as_posix()


def run_python(code: str) -> None:
    """Run code in a fresh interpreter at the repository's root and fail with what it printed."""
    done = subprocess.run([sys.executable, "-c", code], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


# ------------------------------------------------------------------------------------------ who imports whom


def test_imports_go_one_way():
    """The contracts of pyproject.toml, as `make lint` checks them."""
    linter = Path(sys.executable).with_name("lint-imports")
    if not linter.exists():
        pytest.skip("import-linter is not installed")
    done = subprocess.run([linter, "--no-cache"], cwd=REPO, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_page_knows_no_trainer():
    """app.py is no package, so import-linter does not see it."""
    assert not {name.split(".")[0] for name in imports(REPO / "app.py")} & {"train", "benchmarks"}


@pytest.mark.parametrize("module", LIGHT_MODULES)
def test_the_contract_is_light(module: str):
    """Not even by way of other modules, which import-linter cannot tell from imports inside functions."""
    run_python(f"import sys, {module}; heavy = {HEAVY!r} & set(sys.modules); assert not heavy, heavy")


def test_every_import_is_in_the_requirements():
    lines = (REPO / "requirements.txt").read_text().splitlines()
    names = [re.match(r"[\w-]+", line).group() for line in lines if re.match(r"\w", line)]
    declared = {IMPORT_NAMES.get(name, name.replace("-", "_")) for name in names}
    known = declared | OWN | set(sys.stdlib_module_names) | BROUGHT_OTHERWISE
    unknown = {relative(path): import_roots(path) - known for path in program_files()}
    assert not any(unknown.values()), unknown


def test_the_installed_versions_are_in_the_required_ranges():
    requirements = pytest.importorskip("packaging.requirements")
    lines = (REPO / "requirements.txt").read_text().splitlines()
    for line in (line for line in lines if re.match(r"\w", line)):
        wanted = requirements.Requirement(line.split("#")[0])
        if wanted.marker and not wanted.marker.evaluate():
            continue
        assert wanted.specifier.contains(importlib.metadata.version(wanted.name), prereleases=True), line


# ------------------------------------------------------------------------------------- what an import may do

AUDIT = """
import importlib, sys
import gradio, safetensors.torch, torch, transformers  # their own imports are not ours to judge

def refuse(event, details):
    if event.startswith("socket."):
        raise RuntimeError(f"an import opened a socket: {event} {details}")
    if event == "open" and str(details[0]).endswith((".safetensors", ".pth", ".pt", ".ckpt")):
        raise RuntimeError(f"an import opened weights: {details[0]}")

def no_weights(*args, **kwargs):
    raise RuntimeError("an import loaded weights")

# safetensors reads in compiled code, which no audit event announces.
safetensors.safe_open = safetensors.torch.load_file = no_weights
torch.load = torch.nn.Module.load_state_dict = transformers.PreTrainedModel.from_pretrained = no_weights
sys.addaudithook(refuse)
"""


def test_importing_any_module_does_no_work():
    files = [path for path in program_files() if path.name != "__main__.py"]
    if importlib.util.find_spec("trl") is None:  # on Python 3.10
        files = [path for path in files if "trl" not in import_roots(path)]
    modules = [module_name(path) for path in files]
    run_python(AUDIT + f"for name in {modules!r}:\n    importlib.import_module(name)\n")


# ------------------------------------------------------------------------------------------- what stays out

FORBIDDEN_IMPORTS = {"pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
ALLOWED_IMPORTS = {
    "segzero/weights.py": {"pickle.UnpicklingError"},  # what torch.load raises when it refuses to run code
    "segzero/data/sources/plain_pickle.py": {
        "pickle"
    },  # RefCOCO is published so; this refuses all but plain data
}
FORBIDDEN_CALLS = {"eval", "exec", "os.system", "os.popen"}
FORBIDDEN_KEYWORDS = {"shell=True", "allow_pickle=True", "trust_remote_code=True", "weights_only=False"}


def unsafe(path: Path) -> Iterator[str]:
    """Ways to run somebody else's code, as 'file:line what'."""
    for node in ast.walk(parse(path)):
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            module = getattr(node, "module", None)
            names = [f"{module}.{alias.name}" if module else alias.name for alias in node.names]
            unwanted = {name for name in names if name.split(".")[0] in FORBIDDEN_IMPORTS}
            unwanted -= ALLOWED_IMPORTS.get(relative(path), set())
            yield from (f"{relative(path)}:{node.lineno} imports {name}" for name in unwanted)
        if not isinstance(node, ast.Call):
            continue
        called, where = ast.unparse(node.func), f"{relative(path)}:{node.lineno}"
        if called in FORBIDDEN_CALLS:
            yield f"{where} {called}()"
        if called == "torch.load" and "weights_only" not in {k.arg for k in node.keywords}:
            yield f"{where} torch.load without weights_only"
        if re.fullmatch(r"Auto\w+\.from_pretrained", called) and "trust_remote_code=False" not in [
            f"{k.arg}={ast.unparse(k.value)}" for k in node.keywords
        ]:
            yield f"{where} {called}() without trust_remote_code=False, which asks whether to run code"
        for keyword in node.keywords:
            written = f"{keyword.arg}={ast.unparse(keyword.value)}"
            if written in FORBIDDEN_KEYWORDS:
                yield f"{where} {written}"


def test_nothing_runs_code_it_was_handed():
    findings = [finding for path in program_files() for finding in unsafe(path)]
    assert not findings, "\n".join(findings)


def test_files_stay_short():
    lengths = {relative(p): len(p.read_bytes().splitlines()) for p in tracked() if p.suffix == ".py"}
    limits = {name: MAX_TEST_LINES if name.startswith("tests/") else MAX_LINES for name in lengths}
    long = {name: lines for name, lines in lengths.items() if lines > limits[name]}
    assert not {name: lines for name, lines in long.items() if name not in LONG_FILES}
    assert set(LONG_FILES) <= set(long), "a file on the list of long ones is short now: take it off"


def test_no_folder_is_crowded():
    folders = Counter(path.parent for path in tracked() if not relative(path).startswith("assets/"))
    assert not {str(folder): count for folder, count in folders.items() if count > MAX_FILES}


# Put together from pieces, so that this file does not hold what it looks for.
REGISTRY_HOSTS = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("pythonhosted", "org"),
        ("npmjs", "org"),
        ("npmjs", "com"),
        ("yarnpkg", "com"),
        ("deb", "debian", "org"),
        ("download", "pytorch", "org"),
        ("anaconda", "org"),
    )
]
MACHINE_PATHS = r"(?<![\w.])/(?:work|root|home|Users)/\w"
STRAYS = re.compile("|".join([*map(re.escape, REGISTRY_HOSTS), MACHINE_PATHS]))


def test_no_registry_and_no_path_of_a_machine_is_named():
    found = []
    for path in tracked():
        data = path.read_bytes()
        if b"\0" in data[:8192]:
            continue
        for number, line in enumerate(data.decode("utf-8", errors="replace").splitlines(), start=1):
            if stray := STRAYS.search(line):
                found.append(f"{relative(path)}:{number} {stray.group()}")
    assert not found


def test_the_repository_stays_small():
    sizes = {relative(path): path.stat().st_size for path in tracked()}
    assert not {name: size for name, size in sizes.items() if size >= MAX_FILE_BYTES}
    assert sum(sizes.values()) < MAX_REPO_BYTES
