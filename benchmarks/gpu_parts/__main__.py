"""One part in this process: `python -m benchmarks.gpu_parts PART FOLDER RECORDS full|rehearsal SECONDS`."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

from benchmarks.gpu_parts.checks import append, full, rehearsal, run_checks
from benchmarks.gpu_parts.parts import PARTS
from benchmarks.report import environment

name, folder, records, size, seconds = sys.argv[1:]
scale = (full if size == "full" else rehearsal)(folder)
modules = [importlib.import_module(f"benchmarks.gpu_parts.{module}") for module in PARTS[name].modules]
checks = [check for module in modules for check in module.CHECKS]
append(Path(records), {"part": name, "environment": environment(), "checks": [check.name for check in checks]})
run_checks(name, checks, Path(records), scale, float(seconds))
