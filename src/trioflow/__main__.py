"""``python -m trioflow``: the command line."""

import sys

from trioflow.cli.main import main

sys.exit(main())
