"""One part in this process: `python -m benchmarks.gpu_parts PART FOLDER RECORDS full|rehearsal SECONDS`."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from benchmarks.gpu_parts.checks import append, full, rehearsal, run_checks
from benchmarks.gpu_parts.parts import PARTS
from benchmarks.report import environment
from simvtp.config.presets import preset
from simvtp.config.schema import override
from simvtp.training.device import use_machine

name, folder, records, size, seconds = sys.argv[1:]
scale = (full if size == "full" else rehearsal)(folder)
use_machine(override(preset("base"), {"machine.device": scale.device}).machine)  # as a training process
modules = [importlib.import_module(f"benchmarks.gpu_parts.{module}") for module in PARTS[name].modules]
checks = [check for module in modules for check in module.CHECKS]
append(Path(records), {"part": name, "environment": environment(), "checks": [check.name for check in checks]})
code = run_checks(name, checks, Path(records), scale, float(seconds))
if code:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # at once: after an error of CUDA the interpreter's own end may hang
