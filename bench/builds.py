"""Two versions of vecpress built side by side in a temporary folder, which is gone afterwards, also on Ctrl-C."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
WORKTREE = "WORKTREE"  # in the place of a revision: the files as they are now
TAIL = 40  # lines of a compiler's output that an error shows


class BuildError(Exception):
    """A revision that is none, or one that does not build; the message is for the user."""


def git(*arguments: str) -> bytes:
    """What git prints in this clone. Raises BuildError with git's own words."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
    except FileNotFoundError:
        raise BuildError("git is not installed") from None
    if done.returncode:
        raise BuildError(done.stderr.decode(errors="replace").strip() or f"git {arguments[0]} failed")
    return done.stdout


def check_clone() -> None:
    if not (ROOT / "setup.py").is_file() or not (ROOT / "csrc").is_dir():
        raise BuildError(f"expected a clone of the repository around bench/, got {ROOT}")


def commit_of(revision: str) -> str:
    """The commit that a revision names, 12 digits; WORKTREE stays what it is."""
    if revision == WORKTREE:
        return WORKTREE
    try:
        return git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{revision}^{{commit}}").decode().strip()[:12]
    except BuildError:
        raise BuildError(f"unknown revision {revision!r}: expected a commit, branch or tag of {ROOT}, or {WORKTREE}") from None


def copy_source(revision: str, folder: Path) -> None:
    """Writes the files of a revision: those that git tracks, of the work tree also new ones that it does not ignore."""
    folder.mkdir()
    if revision != WORKTREE:
        # an archive and no `git worktree`: nothing stays behind in the clone, however this ends
        with tempfile.TemporaryFile() as file:
            file.write(git("archive", "--format=tar", revision))
            file.seek(0)
            with tarfile.open(fileobj=file) as archive:
                archive.extractall(folder, filter="data")
        return
    for name in git("ls-files", "-z", "--cached", "--others", "--exclude-standard").decode().split("\0"):
        if name and (ROOT / name).is_file():  # a file that was deleted is still in git's list
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)


def native_digest(source: Path) -> str:
    """Of everything that the extension module is compiled from."""
    digest = hashlib.sha256()
    for path in sorted([source / "setup.py", *(source / "csrc").rglob("*")]):
        if path.is_file():
            digest.update(f"{path.relative_to(source)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def build(source: Path, target: Path, *steps: str) -> None:
    """setup.py build_py and build_ext into `target`, with ccache where it is installed. Raises BuildError."""
    env = dict(os.environ)
    if shutil.which("ccache") and "CC" not in env and "CXX" not in env:
        env |= {"CC": "ccache cc", "CXX": "ccache c++"}
    for step in steps or ("build_py", "build_ext"):
        command = [sys.executable, "setup.py", "-q", step, "--build-lib", str(target)]
        done = subprocess.run(command, cwd=source, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        if done.returncode:
            text = done.stdout.decode(errors="replace")
            if "No module named" in text:
                text += "\nA build needs setuptools and pybind11: pip install 'setuptools>=77' 'pybind11>=3.0'"
            raise BuildError(f"{source.name}: {step} failed, the last lines are\n" + "\n".join(text.splitlines()[-TAIL:]))


def _terminated(number: int, frame: Any) -> None:
    raise SystemExit(128 + number)


@contextmanager
def two_builds(base: str, head: str) -> Iterator[tuple[Path, Path]]:
    """Folders to import vecpress from, of revisions `base` and `head`; sources that both compile alike are compiled once.

    Raises BuildError. Cost: a minute or two a build on two cores; seconds where ccache knows the files.
    """
    check_clone()
    commits = [commit_of(base), commit_of(head)]
    before = signal.signal(signal.SIGTERM, _terminated)  # so that the folder goes then, too
    folder = Path(tempfile.mkdtemp(prefix="vecpress-compare-"))
    try:
        sources = [folder / "base-source", folder / "head-source"]
        targets = (folder / "base", folder / "head")
        for commit, source in zip(commits, sources, strict=True):
            copy_source(commit, source)
        build(sources[0], targets[0])
        if native_digest(sources[0]) == native_digest(sources[1]):
            build(sources[1], targets[1], "build_py")
            for module in (targets[0] / "vecpress").glob("_native*"):
                shutil.copy2(module, targets[1] / "vecpress")
        else:
            build(sources[1], targets[1])
        yield targets
    finally:
        signal.signal(signal.SIGTERM, before)
        shutil.rmtree(folder, ignore_errors=True)
