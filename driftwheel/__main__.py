"""Start the command line: ``driftwheel`` or ``python -m driftwheel``."""

import sys


def main() -> None:
    """Run one command; a mistake of the user ends in words and a code, never a traceback."""
    if sys.platform.startswith("win"):
        sys.exit("driftwheel runs on Linux and macOS; on Windows use WSL 2. Found: Windows")
    from driftwheel.app import run

    sys.exit(run(sys.argv[1:]))


if __name__ == "__main__":
    main()
