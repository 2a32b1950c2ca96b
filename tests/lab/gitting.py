"""Real repositories for tests: one with a trainer, and git as a person would type it."""

import subprocess
from pathlib import Path

TRAIN = "DEPTH = 4  # layers [2, 12]\n"
TRAINER = {
    "trainer/train.py": TRAIN,
    "trainer/harness.py": "# harness\n",
    "trainer/prepare.py": "# prepare\n",
    "trainer/presets.toml": "",
    "program.md": "# brief\n",
}


def git(root: Path, *arguments: str, check: bool = True) -> str:
    done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True)
    assert not check or done.returncode == 0, done.stderr
    return done.stdout.rstrip("\n")


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def make_repository(root: Path) -> Path:
    root.mkdir(parents=True)
    git(root, "init", "-q", "-b", "main")
    write(root, TRAINER)
    git(root, "add", "-A")
    git(root, "-c", "commit.gpgsign=false", "commit", "-q", "--no-verify", "-m", "Begin")
    return root
