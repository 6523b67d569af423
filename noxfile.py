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

# Each adapter is also held to the oldest releases that it promises to work with.
OLDEST = [
    nox.param("ag2", ("ag2[openai]==1.2.0", "openai>=3.27,<3.28"), id="ag2-1.2"),
    nox.param("ag2_classic", ("autogen[openai]==0.12.0",), id="autogen-0.12"),
    nox.param("anthropic", ("anthropic>=1.9,<2",), id="anthropic-1"),
    nox.param("crewai", ("crewai==1.15.24",), id="crewai-1.15.24"),
    nox.param("gemini", ("google-genai==3.3.0",), id="gemini-3.3"),
    nox.param(
        "langchain",
        (
            "langchain==1.4.0",
            "langchain-core==1.7.2",
            "langchain-openai==1.7.0",
            "langgraph==1.2.11",
            "openai>=2.45,<3",
        ),
        id="langchain-1.4-openai-2",
    ),
    nox.param("openai", ("openai>=2.30,<3",), id="openai-2"),
]

# One more than the machine has cores: tests wait half of their time, for a process, a server or a
# pause. What belongs together stays together, for it shares servers, models and imports.
WORKERS = ("--numprocesses", str((os.cpu_count() or 1) + 1))
BY_FILE = (*WORKERS, "--dist", "loadfile")
BY_CLASS = (*WORKERS, "--dist", "loadscope")

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
    session.run("pytest", *BY_FILE, *session.posargs)


@nox.session
@nox.parametrize("kind", [nox.param(kind, id=kind) for kind in ADAPTERS])
def adapter(session: nox.Session, kind: str) -> None:
    """One adapter's types and tests, with the framework of its own lock file."""
    with session.chdir(ROOT / "adapters" / kind):
        sync(session)
        settings = str(ROOT / "pyproject.toml")
        tests = ROOT / "tests"
        benchmark = (tests / "benchmarks").glob(f"bench_{kind}_adapter.py")
        env = {"MYPYPATH": os.pathsep.join(("src", "tests", str(tests)))}
        checked = ("src", "tests", *map(str, benchmark))
        session.run("mypy", "--config-file", settings, *checked, env=env)
        session.run("pytest", *BY_CLASS, *session.posargs)


@nox.session
@nox.parametrize(("kind", "requirements"), OLDEST)
def oldest(session: nox.Session, kind: str, requirements: tuple[str, ...]) -> None:
    """One adapter's tests, with the oldest releases it promises to work with."""
    with session.chdir(ROOT / "adapters" / kind):
        sync(session)
        newest = session.run("uv", "pip", "freeze", silent=True, log=False)
        session.install("--quiet", "--resolution", "lowest-direct", *requirements)
        if session.run("uv", "pip", "freeze", silent=True, log=False) == newest:
            session.log(f"the oldest is the newest: adapter({kind}) has tested it")
            return
        session.run("pytest", *BY_CLASS, *session.posargs)


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


class Outside:
    """A folder far from the source tree, with built wheels and environments that hold them."""

    def __init__(self, session: nox.Session, folder: Path) -> None:
        self._session = session
        self.folder = folder
        self.built = folder / "dist"

    def build(self, name: str) -> Path:
        """Build the wheel of a project."""
        options = ("--quiet", "--wheel", "--out-dir", str(self.built))
        self._session.run("uv", "build", *options, str(PROJECTS[name]))
        return next(self.built.glob(f"{_distribution(name)}-*.whl"))

    def lock(self, name: str, *options: str) -> Path:
        """Write down the versions of a project's lock file, for `make`."""
        locked = self.folder / f"{name}.txt"
        self._session.run(
            *("uv", "export", "--quiet", "--frozen", "--no-dev", "--no-emit-local"),
            *("--no-hashes", "--project", str(PROJECTS[name]), "--output-file", str(locked)),
            *options,
        )
        return locked

    def make(self, name: str, *requirements: str, locked: Path, pip: bool = False) -> Path:
        """Make an environment that holds built wheels, and their dependencies as locked."""
        environment = self.folder / "environments" / name
        self._session.run("uv", "venv", "--quiet", *(["--seed"] if pip else []), str(environment))
        self._session.run(
            *("uv", "pip", "install", "--quiet", "--python", str(environment)),
            *("--find-links", str(self.built), "--constraint", str(locked), *requirements),
        )
        return environment

    def test(self, file: str, *options: str, **env: str) -> None:
        """Run the tests of a file of tests/wheels there, with further options of pytest."""
        shutil.copytree(ROOT / "tests" / "wheels", self.folder / "tests" / "wheels")
        tests = self.folder / "tests"
        with self._session.chdir(self.folder):
            options += ("-p", "no:cacheprovider", "-W", "error", "--import-mode=importlib")
            target = str(tests / "wheels" / file)
            env = {"PYTHONPATH": str(tests), **env}
            self._session.run("pytest", *options, target, *self._session.posargs, env=env)


@nox.session
def wheels(session: nox.Session) -> None:
    """The built wheels work in empty environments, far from the source tree."""
    sync(session)
    with tempfile.TemporaryDirectory() as directory:
        outside = Outside(session, Path(directory))
        for name in PROJECTS:
            outside.make(name, str(outside.build(name)), locked=outside.lock(name))
        outside.test("test_wheels.py")


@nox.session
def templates(session: nox.Session) -> None:
    """Plugins work once pip has installed them: each template, the tutorial's, one of one file."""
    sync(session)
    with tempfile.TemporaryDirectory() as directory:
        outside = Outside(session, Path(directory))
        core = outside.build("core").as_uri()
        outside.build("openai")
        locked = outside.lock("core", "--extra", "openai", "--extra", "testing")
        for name in ("adapter", "author", "hook", "tool", "strategy", "sink", "tutorial"):
            outside.make(name, f"massgen-bridge[testing] @ {core}", locked=locked, pip=True)
        with_sdk = f"massgen-bridge[openai,testing] @ {core}"
        outside.make("model_adapter", with_sdk, locked=locked, pip=True)
        python = outside.make("provider", with_sdk, locked=locked, pip=True)
        outside.make("one_file", f"massgen-bridge @ {core}", locked=locked)
        # With what builds them at hand, nothing else than what is tested comes from an index.
        session.run(
            *(str(python / "bin" / "python"), "-m", "pip", "download", "--quiet"),
            *("--dest", str(outside.built), "hatchling>=1.27", "editables"),
            external=True,
        )
        for tree in ("configs", "examples"):
            shutil.copytree(ROOT / tree, outside.folder / tree)
        outside.test("test_plugins.py", "--numprocesses", "logical")  # an environment for each


@nox.session
def frameworks(session: nox.Session) -> None:
    """All frameworks in one run: the core alone builds an environment for each that it has not."""
    sync(session)
    # Kept, as a user's is: what was built for an earlier run is used again.
    cache = os.environ.get("MASSGEN_BRIDGE_CACHE") or str(Path.home() / ".cache" / "massgen-bridge")
    env = {"MASSGEN_BRIDGE_CACHE": cache}
    with tempfile.TemporaryDirectory() as directory:
        outside = Outside(session, Path(directory))
        shutil.copytree(ROOT / "configs", outside.folder / "configs")
        core = outside.build("core").as_uri()
        locked = outside.lock("core", "--extra", "local", "--extra", "testing")
        wanted = f"massgen-bridge[local,testing] @ {core}"
        python = outside.make("frameworks", wanted, locked=locked)
        command = str(python / "bin" / "massgen-bridge")
        session.run_install(command, "local", "install", env=env, external=True)
        # Of these kinds, the built-in model speaks to all but Gemini.
        for name in ("frameworks/all_together.yaml", "providers/gemini.yaml"):
            config = str(outside.folder / "configs" / name)
            session.run_install(command, "env", "sync", config, "--yes", env=env, external=True)
        outside.test("test_frameworks.py", **env)


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
