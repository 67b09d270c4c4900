"""The table library's own readers are banned: they make short processes abort at their exit."""

import ast
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[1]
PACKAGES = ("driftwheel", "flows", "monitoring", "components")
FILES = sorted(file for package in PACKAGES for file in (CLONE / package).rglob("*.py"))

BANNED = {"to_pyarrow_dataset", "to_pyarrow_table"}
# Fine on an arrow table, banned on a Delta table: no module that knows the library may use it.
BANNED_NEAR_DELTA = {"to_pandas"}


def banned_calls(source: str) -> list[str]:
    """Name the banned attributes that a module touches, with their lines."""
    tree = ast.parse(source)
    banned = BANNED | (BANNED_NEAR_DELTA if knows_delta(tree) else set())
    touched = [node for node in ast.walk(tree) if isinstance(node, ast.Attribute)]
    return [f"line {node.lineno}: {node.attr}" for node in touched if node.attr in banned]


def knows_delta(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(
            name.name.partition(".")[0] == "deltalake" for name in node.names
        ):
            return True
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("deltalake"):
            return True
        if isinstance(node, ast.Name) and node.id == "DeltaTable":
            return True
    return False


@pytest.mark.parametrize("file", FILES, ids=[str(file.relative_to(CLONE)) for file in FILES])
def test_no_module_reads_through_the_table_library(file: Path) -> None:
    assert banned_calls(file.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "planted",
    [
        "from deltalake import DeltaTable\nDeltaTable('t').to_pandas()",
        "import deltalake\ntable = deltalake.DeltaTable('t')\nframe = table.to_pandas()",
        "def read(table):\n    return table.to_pyarrow_table()",
        "def read(table):\n    return table.to_pyarrow_dataset().to_table()",
        "from deltalake import DeltaTable as T\nread = T('t').to_pandas",
        "def read(table: 'x'):\n    from deltalake.table import DeltaTable\n    table.to_pandas()",
    ],
)
def test_a_planted_call_is_found(planted: str) -> None:
    assert banned_calls(planted)


def test_an_arrow_table_may_become_a_frame() -> None:
    assert banned_calls("import pyarrow as pa\npa.table({}).to_pandas()") == []
