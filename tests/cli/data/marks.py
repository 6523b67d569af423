"""A plugin that leaves a mark where it is imported, so that tests see whether it was."""

from __future__ import annotations

import os
from pathlib import Path

Path(os.environ["MARK"]).write_text("imported")
