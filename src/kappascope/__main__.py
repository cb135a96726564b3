"""``python -m kappascope`` is the ``kappascope`` command."""

import sys

from kappascope.command_line import main

sys.exit(main())
