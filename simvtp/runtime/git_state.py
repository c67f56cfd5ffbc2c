"""The git commit and diff of the code, without anything that looks like a secret. Loads without torch."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from simvtp.runtime.files import read_json

REDACTED = "<redacted>"

_SECRET_NAME = (
    r"[\w.-]*(?:(?:api|access|private|wandb|hf|account|signing|encryption)[_-]?key|secret|token(?!iz)|passw(?:or)?d|"
    r"[_-]pass|passphrase|pwd|credential|auth(?!or))"
    r"[\w-]*"
)
_QUOTED = r"\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
_SHAPES = (
    r"-----BEGIN [A-Z ]*PRIVATE KEY-----(?s:.)*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|sk-|sk_live_|rk_live_|xox[abeprs]-|wandb_v\d_|npm_|pypi-|ya29\.|AIza)[\w.-]{12,}",
    r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b",
    r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*",  # JSON web token
    r"(?<=hooks\.slack\.com/services/)[\w/]+",
    r"(?<![\w-])(?:[0-9a-f]{40}|[0-9a-f]{64})(?![\w-])",  # keys of W&B and others
)
_RULES = (
    # password in a URL, which may hold any sign but a space or a quotation mark
    (re.compile(r"(\b[a-zA-Z][\w+.-]*://[^\s/:@\"'`]*):[^\s\"'`]+@"), rf"\1:{REDACTED}@"),
    # and in its query
    (re.compile(r"(?i)([?&][\w-]*(?:passw(?:or)?d|pwd|token|secret|key|signature|sig)=)[^\s&\"'`<]+"),
     rf"\1{REDACTED}"),
    (re.compile("|".join(_SHAPES)), REDACTED),
    (re.compile(r"(?i)(\b(?:bearer|basic)\s+)[\w.~+/=-]{8,}"), rf"\1{REDACTED}"),
    # headers of HTTP
    (re.compile(r"(?i)(\b(?:authorization|[\w-]+-(?:key|token))[\"']?:\s*[\"']?(?:\w+\s+)?)[\w.~+/=-]{6,}(?=[\"'])"),
     rf"\1{REDACTED}"),
    # NAME=value of a shell or a settings file, whose name is written in capitals
    (re.compile(rf"(\b(?-i:[A-Z][A-Z0-9_]*_)?(?:[A-Z0-9_]*(?:KEY|TOKEN|SECRET|PASSWORD|PASSWD|PASS|PWD|CREDENTIALS?))"
                rf"[\"']?\]?\s*[=:]\s*)(?:{_QUOTED}|[^\s\"'#;,]\S*)"), rf"\1{REDACTED}"),
    # setenv NAME value of csh, set -x NAME value of fish
    (re.compile(r"(\b(?:setenv|set(?: -\w+)+)\s+\w*(?:KEY|TOKEN|SECRET|PASSWORD|PASS)\s+)\S+"), rf"\1{REDACTED}"),
    # name = "text" in code, JSON, TOML, YAML
    (re.compile(rf"(?i)({_SECRET_NAME}[\"']?\]?\s*[=:]\s*)(?:{_QUOTED})"), rf"\1{REDACTED}"),
    # name: value of YAML, name=value of INI: one word with a digit in it
    (re.compile(rf"(?im)(^[ +-]*{_SECRET_NAME}\s*[=:]\s*)(?=\S*\d)[^\s\"'(\[{{<]{{6,}}\s*$"), rf"\1{REDACTED}"),
    # options of a command, netrc
    (re.compile(r"(?i)(--?(?:password|passwd|token|api-key|secret)[= ]+)[^\s\"'<]+"), rf"\1{REDACTED}"),
    (re.compile(r"(\bcurl\b[^\n]*\s(?:-u|--user)[= ]*[^\s:]+:)\S+"), rf"\1{REDACTED}"),
    (re.compile(r"(?i)(\blogin\s+\S+\s+password\s+)\S+"), rf"\1{REDACTED}"),
)  # fmt: skip


def redacted(text: str) -> str:
    """The text with `<redacted>` in place of what looks like a secret.

    That is: values of names such as WANDB_API_KEY or db_password, passwords in URLs and in options of commands, private
    keys, and strings of the form of known services' tokens.
    """
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    return text


def git_state(root: Path) -> dict[str, str]:
    """Commit of the checkout at `root` and the redacted diff of tracked files against it; empty outside a checkout.

    In the copy of the code that a sweep's jobs run, code.json says it, as it was when the copy was made.
    """
    if (root / "code.json").exists():
        return {"copy": root.name, **read_json(root / "code.json")}
    if not (root / ".git").exists():
        return {}
    return {"commit": _git(root, "rev-parse", "HEAD").strip(), "diff": redacted(_git(root, "diff", "HEAD"))}


def _git(root: Path, *words: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *words], capture_output=True, text=True, errors="replace", timeout=30, check=False
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return ""
    return done.stdout
