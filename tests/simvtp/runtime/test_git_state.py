"""The diff that a result records: all of it but secrets."""

import subprocess
from pathlib import Path

import pytest
import torch

from simvtp.runtime import environment
from simvtp.runtime.files import write_json
from simvtp.runtime.git_state import git_state, redacted

HEX = "0123456789abcdef0123456789abcdef01234567"
SECRETS = [
    ("+export WANDB_API_KEY=hunter2-hunter2", "hunter2"),
    ('+setup = ["export WANDB_API_KEY=hunter2", "module load cuda"]', "hunter2"),
    ("+HF_TOKEN: hunter2", "hunter2"),
    ("-  AWS_SECRET_ACCESS_KEY='hunter2 with spaces'", "hunter2 with spaces"),
    ('+    "api_key": "hunter2",', "hunter2"),
    ("+db_password = 'hunter2'", "hunter2"),
    ("+  client_secret: hunter2hunter2", "hunter2"),
    ("+storage = 'postgresql://me:pa#ss/w@rd@host/db'", "pa#ss/w@rd"),
    ("+url = mysql+pymysql://me:hunter2@host", "hunter2"),
    ("+git clone https://oauth2:hunter2@host/x.git", "hunter2"),
    (f"+wandb login {HEX}", HEX),
    ("+huggingface-cli login --token hunter2", "hunter2"),
    ("+curl -H 'Authorization: Bearer hunter2hunter2'", "hunter2hunter2"),
    ("+x = 'ghp_" + "a1B2" * 9 + "'", "a1B2a1B2"),
    ("+x = 'hf_" + "a1B2" * 9 + "'", "a1B2a1B2"),
    ("+key AKIAIOSFODNN7EXAMPLE", "AKIAIOSFODNN7EXAMPLE"),
    ("+eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.SflKxwRJSMeKKF2QT4", "eyJzdWIiOiIxMjM0In0"),
    ("+-----BEGIN OPENSSH PRIVATE KEY-----\n+b3BlbnNzaC1rZXk\n+-----END OPENSSH PRIVATE KEY-----", "b3BlbnNzaC1rZXk"),
    ("+machine host login me password hunter2", "hunter2"),
    ('+os.environ["HF_TOKEN"] = "hunter2"', "hunter2"),
    ("+storage = 'postgresql://host/db?user=me&password=hunter2'", "hunter2"),
    ("+https://bucket.example/weights.pth?X-Amz-Signature=hunter2&x=1", "hunter2"),
    ("+password: hunter2", "hunter2"),
    ("+db_pass = 'hunter2'", "hunter2"),
    ('+{"wandb_key": "hunter2"}', "hunter2"),
    ("+setenv WANDB_API_KEY hunter2", "hunter2"),
    ("+set -x HF_TOKEN hunter2", "hunter2"),
    ("+curl -u me:hunter2 https://host", "hunter2"),
    ("+curl -H 'Authorization: Token hunter2'", "hunter2"),
    ("+curl -H 'X-Api-Key: hunter2'", "hunter2"),
    ("+SLACK=https://hooks.slack.com/services/T0/B0/hunter2", "hunter2"),
]
CODE = """diff --git a/simvtp/data/tokenizer.py b/simvtp/data/tokenizer.py
index 1234567..89abcde 100644
+    tokens = tokenizer.encode(texts, limit)
+    token: int = self.mask_token + 1
+    rows.sort(key=lambda row: row.name)
+    digest, key = hashlib.sha256(b"x").hexdigest(), KEYS.format(place)
+    authors = ["a", "b"]
+    url = "https://example.org/a@b"
+    author = "Jane"
+    tokenizer = "bert-base"
+    attention(query, key=keys, value=values)
+    sort_key = "loss"
+    passes: tuple[str, ...] = ("video",)
+    labels = {"token": first, "key": second}
"""


@pytest.mark.parametrize(("text", "secret"), SECRETS)
def test_secrets_are_left_out(text: str, secret: str) -> None:
    actual = redacted(f"+before = 1\n{text}\n+after = 2\n")
    assert secret not in actual
    assert "<redacted>" in actual
    assert actual.startswith("+before = 1\n")
    assert actual.endswith("\n+after = 2\n")


def test_code_is_kept() -> None:
    assert redacted(CODE) == CODE


def test_commit_and_diff_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert git_state(tmp_path) == {}
    git = ["git", "-C", str(tmp_path), "-c", "user.name=n", "-c", "user.email=e"]
    (tmp_path / "lab.toml").write_text("account = 'a'\n")
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "first"]):
        subprocess.run([*git, *words], check=True)
    (tmp_path / "lab.toml").write_text("account = 'b'\nsetup = ['export WANDB_API_KEY=hunter2']\n")
    state = git_state(tmp_path)
    assert len(state["commit"]) == 40
    assert "+account = 'b'" in state["diff"]
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    monkeypatch.setenv("SLURM_JOB_COMMENT", "API_TOKEN=hunter2")
    monkeypatch.setenv("WANDB_API_KEY", "hunter2")
    recorded = environment.describe(torch.device("cpu"))
    assert recorded["code"] == state
    assert "hunter2" not in str(recorded)
    write_json(tmp_path / "code.json", {"commit": "c", "diff": ""})
    assert git_state(tmp_path) == {"copy": tmp_path.name, "commit": "c", "diff": ""}
