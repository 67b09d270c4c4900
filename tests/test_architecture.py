"""The shape of the code is a set of rules that run."""

import ast
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[1]
PACKAGES = ("driftwheel", "flows", "monitoring", "components")
MODULES = sorted(file for package in PACKAGES for file in (CLONE / package).rglob("*.py"))
MOST_LINES = 450
HEAVY = ("mlflow", "evidently", "torch", "pandas")
MACHINE_PATH = re.compile(r"/(?:work|root|farm|home)/\w")


def name_of(file: Path) -> str:
    return str(file.relative_to(CLONE))


def dotted(file: Path) -> str:
    return ".".join(file.relative_to(CLONE).with_suffix("").parts)


every_module = pytest.mark.parametrize("file", MODULES, ids=name_of)


# --- import contracts -------------------------------------------------------------------------


def check_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    lint = Path(sys.executable).parent / "lint-imports"
    # Cached by module path alone: a planted copy must not be answered for by the real tree.
    return subprocess.run(
        [str(lint), "--no-logo", "--no-cache"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def copied(tmp_path: Path) -> Path:
    for package in PACKAGES:
        shutil.copytree(
            CLONE / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__")
        )
    shutil.copy(CLONE / "pyproject.toml", tmp_path)
    return tmp_path


def contracts() -> dict[str, str]:
    project = tomllib.loads((CLONE / "pyproject.toml").read_text(encoding="utf-8"))
    return {each["id"]: each["name"] for each in project["tool"]["importlinter"]["contracts"]}


def test_imports_point_one_way() -> None:
    result = check_imports(CLONE)
    assert result.returncode == 0, result.stdout + result.stderr


PLANTED = [
    pytest.param("layers", "components/errors.py", "import monitoring.windows", id="up a layer"),
    pytest.param("layers", "monitoring/windows.py", "import flows.settings", id="up two layers"),
    pytest.param("layers", "flows/settings.py", "import driftwheel", id="to the command line"),
    pytest.param("steps", "flows/steps/home.py", "import flows.settings", id="step reads settings"),
    pytest.param("steps", "flows/steps/home.py", "import flows.retrain", id="step knows a flow"),
    pytest.param("orchestrator", "flows/steps/home.py", "import prefect", id="step is a task"),
    pytest.param("orchestrator", "monitoring/windows.py", "import prefect", id="monitoring"),
    pytest.param("orchestrator", "driftwheel/__init__.py", "import prefect", id="command line"),
    pytest.param("roots", "driftwheel/backtesting.py", "import flows.train", id="a backtest"),
    pytest.param("roots", "driftwheel/reading.py", "import driftwheel.app", id="a reading command"),
    pytest.param("roots", "flows/opening.py", "import flows.stages", id="a root, by way of a flow"),
    pytest.param("stores", "components/metrics.py", "import mlflow", id="mlflow elsewhere"),
    pytest.param("stores", "flows/steps/home.py", "import deltalake", id="delta elsewhere"),
    pytest.param("stores", "monitoring/windows.py", "import sqlalchemy", id="sql elsewhere"),
    pytest.param("stores", "flows/settings.py", "import alembic", id="migrations elsewhere"),
    pytest.param("drift", "monitoring/windows.py", "import evidently", id="evidently elsewhere"),
    pytest.param("face", "monitoring/windows.py", "import rich", id="a component prints"),
    pytest.param("face", "flows/settings.py", "import typer", id="a flow parses arguments"),
]


@pytest.mark.parametrize(("contract", "where", "planted"), PLANTED)
def test_a_planted_import_breaks_its_contract(
    copied: Path, contract: str, where: str, planted: str
) -> None:
    file = copied / where
    # Inside a function, where most real ones would hide.
    text = file.read_text(encoding="utf-8")
    file.write_text(f"{text}\n\ndef planted():\n    {planted}\n", encoding="utf-8")

    result = check_imports(copied)

    assert result.returncode == 1, result.stdout + result.stderr
    told = " ".join(result.stdout.split())
    assert f"{contracts()[contract]} BROKEN" in told
    planted_in = where.removesuffix("/__init__.py").removesuffix(".py").replace("/", ".")
    assert f"{planted_in} -> " in told


def test_every_contract_has_a_planted_violation() -> None:
    assert {str(each.values[0]) for each in PLANTED} == set(contracts())


# --- what a process pays for ------------------------------------------------------------------


def flow_modules() -> list[Path]:
    """Find the modules that the process of a flow run imports before its first step."""
    return [file for file in MODULES if file.parent == CLONE / "flows"]


def imported_on_top(file: Path) -> Iterator[str]:
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module in PACKAGES:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


@pytest.mark.parametrize("file", flow_modules(), ids=name_of)
def test_a_flow_module_imports_only_prefect_and_the_standard_library_on_top(file: Path) -> None:
    # The last four are small, and most of them Prefect's own; nothing of ours but values.
    allowed = {*sys.stdlib_module_names, "prefect", "flows"} | {
        "httpx",
        "psutil",
        "filelock",
        "yaml",
    }
    lean = {"components.errors", "components.failpoints", "components.pipelines"}
    heavy = [
        name
        for name in imported_on_top(file)
        if name not in lean and (name.split(".")[0] not in allowed or name.startswith("flows.step"))
    ]
    assert heavy == []


def test_importing_every_flow_module_loads_nothing_heavy() -> None:
    names = ", ".join(dotted(file) for file in flow_modules())
    code = f"import sys, {names}; print([m for m in {HEAVY!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=CLONE, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "[]"


# --- what the rules of style cannot say ---------------------------------------------------------


@every_module
def test_no_module_outgrows_its_purpose(file: Path) -> None:
    assert len(file.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def calls(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text(encoding="utf-8")))
    return {ast.unparse(node.func) for node in nodes if isinstance(node, ast.Call)}


CLOCKS = re.compile(r"(datetime|Timestamp|date)\.(now|utcnow|today)$|\btime\.time(_ns)?$")


@pytest.mark.parametrize(
    "file",
    [f for f in MODULES if f.relative_to(CLONE).parts[0] in ("components", "monitoring")]
    + sorted((CLONE / "flows" / "steps").glob("*.py")),
    ids=name_of,
)
def test_components_monitoring_and_steps_know_no_clock(file: Path) -> None:
    assert [call for call in calls(file) if CLOCKS.search(call)] == []


@pytest.mark.parametrize(
    "file", [f for f in MODULES if name_of(f) != "flows/settings.py"], ids=name_of
)
def test_the_environment_enters_at_one_door(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert re.findall(r"\bos\.(?:environ|getenv)\b", text) == []


def words() -> list[Path]:
    """List what is read beside the modules: tests, texts, settings."""
    folders = ("tests", "benchmarks", "infra", "pipelines", "docs", ".ci")
    found = [file for folder in folders for file in (CLONE / folder).rglob("*") if file.is_file()]
    kinds = {".py", ".md", ".toml", ".yaml", ".yml", ".sh", ".txt", ".cfg", ""}
    top = [file for file in CLONE.iterdir() if file.is_file() and not file.name.startswith(".")]
    return [
        file for file in (*found, *top) if file.suffix in kinds and "__pycache__" not in str(file)
    ]


def test_no_path_of_one_machine_is_written_down() -> None:
    found = {
        name_of(file): MACHINE_PATH.findall(file.read_text(encoding="utf-8"))
        for file in (*MODULES, *words())
    }
    assert {name: paths for name, paths in found.items() if paths} == {}


def test_every_ignored_lint_rule_says_why() -> None:
    lines = (CLONE / "pyproject.toml").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if re.match(r'\s+"[A-Z]+\d*",', line)]
    assert rules
    assert [line for line in rules if not re.search(r"#\s*\S+ \S+", line)] == []


@every_module
def test_every_suppressed_warning_names_its_rule_and_reason(file: Path) -> None:
    lines = file.read_text(encoding="utf-8").splitlines()
    noqa = [line for line in lines if "# noqa" in line or "# type: ignore" in line]
    assert [line for line in noqa if not re.search(r"noqa: [A-Z]+\d+|ignore\[", line)] == []


def test_tests_hold_no_package_of_their_own() -> None:
    assert list((CLONE / "tests").rglob("__init__.py")) == []
