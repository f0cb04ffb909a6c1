"""``python -m trioflow.engine``: the process of one flow run, as a runner starts it."""

from __future__ import annotations

import sys

from trioflow.engine.child import main

if __name__ == "__main__":
    sys.exit(main())
