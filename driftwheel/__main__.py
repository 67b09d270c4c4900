"""Start the command line: ``driftwheel`` or ``python -m driftwheel``."""

import atexit
import os
import sys
from typing import NoReturn


def main() -> None:
    """Run one command; a mistake of the user ends in words and a code, never a traceback."""
    if sys.platform.startswith("win"):
        sys.exit("driftwheel runs on Linux and macOS; on Windows use WSL 2. Found: Windows")
    from driftwheel.app import run

    leave(run(sys.argv[1:]))


def leave(code: int) -> NoReturn:
    """End the process with its exit code, whatever native libraries do on the way down.

    After a Prefect flow in this process, DuckDB's bindings report dozens of leaked objects as
    the interpreter is torn down, and readers of Delta have been seen to abort there: a command
    that is done would look failed. What must be flushed is flushed first.
    """
    atexit._run_exitfuncs()  # noqa: SLF001 - there is no public way to run them early
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    main()
