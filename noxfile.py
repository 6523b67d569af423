"""The gates, cheap ones first.

`nox` runs them all, `nox -s types` runs one, `nox -l` lists them; what follows `--` goes to pytest.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import nox

ROOT = Path(__file__).parent
ADAPTERS = sorted(path.parent.name for path in ROOT.glob("adapters/*/pyproject.toml"))
PROJECTS = {"core": ROOT, **{kind: ROOT / "adapters" / kind for kind in ADAPTERS}}

# Where the majors of an SDK split the world, its adapter is also held to the oldest it promises.
OLDEST = [
    nox.param("openai", "openai>=2.30,<3", id="openai-2"),
    nox.param("langchain", "openai>=2.45,<3", id="langchain-openai-2"),
]

nox.needs_version = ">=2026.10"
nox.options.default_venv_backend = "uv"
nox.options.reuse_venv = "yes"
nox.options.error_on_external_run = True

# Inherited, this one makes every interpreter start compile every module again.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# The interpreter that runs nox is the one that everything is tested with.
os.environ |= {"NO_MKDOCS_2_WARNING": "1", "UV_PYTHON_DOWNLOADS": "never"}


def sync(session: nox.Session, *arguments: str, compiled: bool = False) -> None:
    """Bring the session's environment to what the lock file says.

    Args:
        session: The session whose environment it is.
        arguments: What else `uv sync` is told.
        compiled: Compile every module now, on all cores: pays where many interpreters start.
    """
    env = {"UV_COMPILE_BYTECODE": "1"} if compiled else {}
    session.run_install("uv", "sync", "--quiet", "--frozen", *arguments, env=env)


def _distribution(name: str) -> str:
    return "massgen_bridge" if name == "core" else f"massgen_bridge_{name}"


@nox.session
def lock(session: nox.Session) -> None:
    """Every lock file says what its pyproject.toml asks for."""
    for project in PROJECTS.values():
        session.run("uv", "lock", "--check", "--quiet", "--project", str(project))


@nox.session(default=False)
def relock(session: nox.Session) -> None:
    """Renew every lock file: the core's dependencies stand in all of them."""
    for project in PROJECTS.values():
        session.run("uv", "lock", "--project", str(project), *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style and formatting."""
    sync(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")


@nox.session
def types(session: nox.Session) -> None:
    """Strict types, but for the adapters: those are checked beside their own frameworks."""
    sync(session)
    session.run("mypy")


@nox.session
def imports(session: nox.Session) -> None:
    """Imports point one way."""
    sync(session)
    # Not all adapters can be installed together; here their sources are only read.
    sources = os.pathsep.join(str(ROOT / "adapters" / kind / "src") for kind in ADAPTERS)
    session.run("lint-imports", "--no-cache", "--no-logo", env={"PYTHONPATH": sources})


@nox.session
def deps(session: nox.Session) -> None:
    """What is imported is declared, and what is declared is imported."""
    sync(session)
    session.run("deptry", "massgen_bridge")
    for kind in ADAPTERS:
        with session.chdir(ROOT / "adapters" / kind):
            session.run("deptry", "src")


@nox.session
def tests(session: nox.Session) -> None:
    """The core's tests, with every document, example and configuration."""
    sync(session, compiled=True)
    session.run_install("massgen-bridge", "local", "install")  # so that no test has to
    session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize("kind", [nox.param(kind, id=kind) for kind in ADAPTERS])
def adapter(session: nox.Session, kind: str) -> None:
    """One adapter's types and tests, with the framework of its own lock file."""
    with session.chdir(ROOT / "adapters" / kind):
        sync(session)
        settings = str(ROOT / "pyproject.toml")
        env = {"MYPYPATH": os.pathsep.join(("src", "tests"))}
        session.run("mypy", "--config-file", settings, "src", "tests", env=env)
        session.run("pytest", *session.posargs)


@nox.session
@nox.parametrize(("kind", "requirement"), OLDEST)
def oldest(session: nox.Session, kind: str, requirement: str) -> None:
    """One adapter's tests, with the oldest release it promises to work with."""
    with session.chdir(ROOT / "adapters" / kind):
        sync(session)
        session.install("--quiet", "--resolution", "lowest-direct", requirement)
        session.run("pytest", *session.posargs)


@nox.session(default=False)
def record_api(session: nox.Session) -> None:
    """Write down what is public, at a release: later changes are compared with it."""
    sync(session)
    session.run("python", "-m", "public_api.record", env={"PYTHONPATH": "tests"})


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """The measured promises; nothing else should run meanwhile."""
    sync(session, compiled=True)
    session.run("python", "tests/benchmarks/run.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation builds without a warning."""
    sync(session, "--only-group", "docs")
    session.run("mkdocs", "build", "--quiet", "--strict", "--config-file", ".mkdocs.yml")


@nox.session
def wheels(session: nox.Session) -> None:
    """The built wheels work in empty environments, far from the source tree."""
    sync(session)
    with tempfile.TemporaryDirectory() as directory:
        outside = Path(directory)
        built = outside / "dist"
        for name, project in PROJECTS.items():
            session.run("uv", "build", "--quiet", "--wheel", "--out-dir", str(built), str(project))
            wheel = next(built.glob(f"{_distribution(name)}-*.whl"))
            environment = outside / "environments" / name
            locked = outside / f"{name}.txt"
            session.run("uv", "venv", "--quiet", str(environment))
            session.run(
                *("uv", "export", "--quiet", "--frozen", "--no-dev", "--no-emit-local"),
                *("--no-hashes", "--project", str(project), "--output-file", str(locked)),
            )
            session.run(
                *("uv", "pip", "install", "--quiet", "--python", str(environment)),
                *("--find-links", str(built), "--constraint", str(locked), str(wheel)),
            )
        shutil.copytree(ROOT / "tests" / "wheels", outside / "tests")
        with session.chdir(outside):
            session.run("pytest", "-p", "no:cacheprovider", "-W", "error", "tests")


@nox.session
def readme(session: nox.Session) -> None:
    """The first command of the README works for somebody who has just cloned the repository."""
    readme = (ROOT / "README.md").read_text()
    (command,) = re.findall(
        r"^## Try it\n.*?^```sh\n([^\n]+)\n```$", readme, re.DOTALL | re.MULTILINE
    )
    with tempfile.TemporaryDirectory() as directory:
        clone = Path(directory) / "clone"
        tracked = session.run("git", "ls-files", "-z", external=True, silent=True, log=False)
        for name in filter(os.path.exists, str(tracked).split("\0")):
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, clone / name)
        # A home of its own, but the packages that the other gates have fetched already.
        cache = session.run("uv", "cache", "dir", silent=True, log=False)
        env = {"HOME": directory, "UV_CACHE_DIR": str(cache).strip(), "VIRTUAL_ENV": None}
        env |= dict.fromkeys(("UV_PYTHON", "UV_PROJECT_ENVIRONMENT"))
        with session.chdir(clone):
            session.run("bash", "-c", command, env=env, external=True)
