"""An environment for each of the other servers: `python -m bench.serving.environment mlserver`."""

import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = ROOT / "locks" / "bench"
ENVIRONMENTS = ROOT / ".bench" / "serving"
UV = Path(sys.executable).parent / "uv"


def make_environment(name: str) -> str | None:
    """Install a peer from its hashed requirements, unless that is done; returns what went wrong."""
    folder = ENVIRONMENTS / name
    requirements = LOCKS / f"{name}.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    mark = folder / ".ready"
    if mark.exists() and mark.read_text() == digest:
        return None
    print(f"installing {name} into {folder}", flush=True)
    steps = [
        [str(UV), "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)],
        [
            *(str(UV), "pip", "install", "--quiet", "--compile-bytecode", "--require-hashes"),
            *("--python", str(folder / "bin" / "python"), "-r", str(requirements)),
        ],
    ]
    for step in steps:
        done = subprocess.run(step, capture_output=True, text=True)
        if done.returncode:
            return f"it could not be installed: {done.stderr.strip()[-400:]}"
    mark.write_text(digest)
    return None


if __name__ == "__main__":
    for asked in sys.argv[1:]:
        if trouble := make_environment(asked):
            sys.exit(f"{asked}: {trouble}")
