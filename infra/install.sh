#!/usr/bin/env bash
# Make .venv from the lock. Run by `make install`; doing it again does nothing.
#
# A finished .venv carries a stamp that says from what it was made and where. No stamp, or a stamp
# of another folder (a virtual environment cannot be moved): it was killed half-way or is not
# whole, and is made anew. A stamp of an older lock: pip brings it up to date.
set -euo pipefail
cd "$(dirname "$0")/.."

stamp=.venv/.driftwheel-installed
# What tools are told further down in pyproject.toml changes nothing that is installed.
lock="$(sed '/^\[tool\.ruff\]/,$d' pyproject.toml | cat - constraints.txt | cksum)"

refuse() { echo "driftwheel: $*" >&2; exit 2; }

is_311() { "$1" -c 'import sys; raise SystemExit(sys.version_info[:2] != (3, 11))' 2>/dev/null; }

refuse_platform() {
  case "$(uname -s)" in
    Linux | Darwin) ;;
    *) refuse "runs on Linux and macOS, not on $(uname -s); on Windows use WSL 2 (wsl --install)" ;;
  esac
}

find_python() {
  if [ -n "${PYTHON:-}" ]; then
    is_311 "$PYTHON" || refuse "needs Python 3.11; PYTHON=$PYTHON is $("$PYTHON" --version 2>&1 || echo missing)"
    echo "$PYTHON"
    return
  fi
  local candidate
  for candidate in python3.11 python3 python; do
    if is_311 "$candidate"; then echo "$candidate"; return; fi
  done
  refuse "needs Python 3.11, found $(python3 --version 2>/dev/null || echo no Python);" \
    "install it (uv python install 3.11, pyenv install 3.11) or say: make install PYTHON=/path/to/python3.11"
}

is_whole() { [ -f "$stamp" ] && [ "$(head -n 1 "$stamp")" = "$PWD" ] && is_311 .venv/bin/python; }

refuse_platform
if is_whole && [ "$(tail -n 1 "$stamp")" = "$lock" ]; then exit 0; fi

python="$(find_python)"
if ! is_whole; then
  if [ -e .venv ]; then
    echo "driftwheel: .venv is half-made or was moved here; starting over"
    rm -rf .venv
  fi
  "$python" -m venv .venv || {
    rm -rf .venv
    refuse "$python cannot make virtual environments; install its venv module (Debian: apt install python3.11-venv)"
  }
fi
rm -f "$stamp"
echo "driftwheel: installing into .venv from constraints.txt (a few minutes the first time)"
.venv/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]' \
  || refuse "pip could not install the lock (see above); with the network back, run make install again"
.venv/bin/python -m pip check --disable-pip-version-check >/dev/null \
  || refuse "the installed packages contradict each other (.venv/bin/pip check says which); make clean install starts over"
printf '%s\n%s\n' "$PWD" "$lock" >"$stamp"
