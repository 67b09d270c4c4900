"""`make install` ends with a whole .venv, or one line that says why not.

A stub stands in for Python 3.11: it makes a .venv of stubs, so that each case takes milliseconds.
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

CLONE = Path(__file__).resolve().parents[1]
PYTHON = """#!/bin/sh
# Stands in for Python {version}; writes down what it was asked for.
case "$*" in
  -c*) exit {wrong} ;;
  --version) echo "Python {version}" ;;
  "-m venv .venv") mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
esac
echo "$*" >> calls.txt
case "$*" in *"pip install"*) exit ${{FAIL:-0}} ;; esac
"""


def write_script(file: Path, text: str) -> Path:
    file.write_text(text, encoding="utf-8")
    file.chmod(0o755)
    return file


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clone = tmp_path / "clone"
    (clone / "infra").mkdir(parents=True)
    shutil.copy(CLONE / "infra" / "install.sh", clone / "infra")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(CLONE / name, clone)
    write_script(clone / "python3.11", PYTHON.format(version="3.11.7", wrong=0))
    return clone


def install(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    environ = {"PATH": f"{folder}:/usr/bin:/bin", **environment}
    (folder / "calls.txt").write_text("", encoding="utf-8")
    return subprocess.run(
        ["make", "-s", "install"],
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


def pip_installs(folder: Path) -> list[str]:
    calls = (folder / "calls.txt").read_text(encoding="utf-8").splitlines()
    return [call for call in calls if "pip install" in call]


def test_an_empty_clone_gets_a_venv_from_the_lock_with_the_dev_extra(folder: Path) -> None:
    assert install(folder).returncode == 0
    assert len(pip_installs(folder)) == 1
    assert "--constraint constraints.txt --editable .[dev]" in pip_installs(folder)[0]


def test_installing_again_does_nothing(folder: Path) -> None:
    install(folder)
    again = install(folder)
    assert (again.returncode, again.stdout, pip_installs(folder)) == (0, "", [])


def test_a_changed_lock_brings_the_venv_up_to_date(folder: Path) -> None:
    install(folder)
    (folder / ".venv" / "kept").touch()
    with (folder / "constraints.txt").open("a", encoding="utf-8") as lock:
        lock.write("rich==15.0.0\n")
    assert install(folder).returncode == 0
    assert len(pip_installs(folder)) == 1
    assert (folder / ".venv" / "kept").exists()


@pytest.mark.parametrize(
    "left_behind",
    [
        pytest.param("mkdir -p .venv/lib", id="killed while venv ran"),
        pytest.param("mkdir -p .venv/bin && cp python3.11 .venv/bin/python", id="killed in pip"),
        pytest.param("touch .venv", id="a file of that name"),
    ],
)
def test_a_half_made_venv_is_made_anew_and_says_so(folder: Path, left_behind: str) -> None:
    subprocess.run(["bash", "-c", left_behind], cwd=folder, check=True)
    result = install(folder)
    assert result.returncode == 0, result.stderr
    assert "half-made" in result.stdout
    assert len(pip_installs(folder)) == 1
    assert install(folder).stdout == ""


def test_a_moved_clone_gets_a_new_venv(folder: Path) -> None:
    install(folder)
    moved = folder.rename(folder.parent / "elsewhere")
    assert "starting over" in install(moved).stdout
    assert len(pip_installs(moved)) == 1


def test_a_failed_download_leaves_no_venv_that_counts_as_whole(folder: Path) -> None:
    failed = install(folder, FAIL="1")
    assert failed.returncode != 0
    assert "run make install again" in failed.stderr
    assert install(folder).returncode == 0
    assert len(pip_installs(folder)) == 1


def one_line(result: subprocess.CompletedProcess[str]) -> str:
    # make adds its own: "make: *** [Makefile:21: install] Error 2"
    (line,) = [line for line in result.stderr.splitlines() if not line.startswith("make:")]
    return line


def test_another_python_is_refused_in_one_line(folder: Path) -> None:
    other = write_script(folder / "python3.13", PYTHON.format(version="3.13.1", wrong=1))
    result = install(folder, PYTHON=str(other))
    assert result.returncode != 0
    assert "needs Python 3.11" in one_line(result)
    assert "Python 3.13.1" in one_line(result)
    assert not (folder / ".venv").exists()


def test_a_machine_without_python_311_is_told_how_to_get_it(folder: Path) -> None:
    for name in ("python3.11", "python3", "python"):
        write_script(folder / name, PYTHON.format(version="3.12.4", wrong=1))
    result = install(folder)
    assert result.returncode != 0
    assert "needs Python 3.11, found Python 3.12.4" in one_line(result)
    assert "PYTHON=" in one_line(result)


def test_windows_is_refused_in_one_line(folder: Path) -> None:
    write_script(folder / "uname", "#!/bin/sh\necho MINGW64_NT-10.0\n")
    result = install(folder)
    assert result.returncode != 0
    assert "WSL 2" in one_line(result)


def test_an_unknown_benchmark_lists_the_known(tmp_path: Path, folder: Path) -> None:
    for name in ("scoring", "loop"):
        (folder / "benchmarks" / name).mkdir(parents=True)
        (folder / "benchmarks" / name / "run.py").touch()
    result = subprocess.run(
        ["make", "-s", "bench", "NAME=scorin"],
        cwd=folder,
        env={"PATH": f"{folder}:/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode != 0
    assert "no benchmark named 'scorin'; known: loop scoring" in result.stderr


def test_the_ci_script_is_executable_and_runs_both_suites() -> None:
    script = CLONE / ".ci" / "run"
    assert os.access(script, os.X_OK)
    lines = script.read_text(encoding="utf-8").splitlines()
    assert "set -euo pipefail" in lines
    assert {"make check", "make test"} <= set(lines)
