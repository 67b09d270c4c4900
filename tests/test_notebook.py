"""The notebook that is shipped runs from top to bottom, and shows what it says."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

CLONE = Path(__file__).resolve().parents[1]
NOTEBOOK = CLONE / "pipelines" / "bikeshare.ipynb"


# pyzmq and jupyter_client leave an event loop to the garbage collector.
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_the_notebook_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.delenv("DRIFTWHEEL_HOME", raising=False)
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(tmp_path))
    shown = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", ())
        if output.output_type == "execute_result"
    ]
    assert len(shown) >= 6
    assert "image/png" in {kind for output in shown for kind in output.data}
    table = next(o.data["text/plain"] for o in shown if "false_alarms" in o.data["text/plain"])
    assert "periodic:14d+gate" in table


def test_the_notebook_is_kept_without_paths_of_a_machine() -> None:
    said = NOTEBOOK.read_text(encoding="utf-8")
    assert "/home/" not in said
    assert "/tmp/" not in said  # noqa: S108 - looked for, not written to
