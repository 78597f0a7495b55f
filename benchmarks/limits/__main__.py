"""`python -m benchmarks.limits` writes docs/limits.md; `--rows TEXT` prints the rows whose names hold the text."""

from __future__ import annotations

import argparse
import logging

from .report import write
from .table import main

parser = argparse.ArgumentParser(description=__doc__)
parser.add_argument("--seeds", type=int, default=3)
parser.add_argument("--rows", help="print these rows instead of writing the document")
chosen = parser.parse_args()
logging.getLogger("relaydance_async").setLevel(logging.ERROR)  # of the limiter, which says that it learns
if chosen.rows is None:
    write(chosen.seeds)
else:
    main(chosen.seeds, chosen.rows)
