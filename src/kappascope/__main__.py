"""The ``kappascope`` command; ``python -m kappascope`` is the same.

Importing the commands takes a while, and Ctrl-C ends that with one line, too.
"""

import sys


def main() -> int:
    """Run the command line; return the exit status."""
    try:
        from kappascope import command_line

        return command_line.main()
    except KeyboardInterrupt:
        print("kappascope: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
