"""Checks in environments of their own, by nox with uv: `pip install "nox[uv]"`, then `nox --list`.

nox                                   the tests on every Python that is there, with the oldest and the newest versions
nox -s "tests-3.13(newest)"           one of these; what follows -- is for pytest
nox -s wheel licences sbom audit      what is handed out, and what it brings along
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tomllib
from pathlib import Path

import nox

nox.needs_version = ">=2025.2"
nox.options.default_venv_backend = "uv"
nox.options.sessions = ["tests"]

HERE = Path(__file__).parent
PYTHONS = ["3.11", "3.12", "3.13", "3.14"]
EXTRAS = ["video", "mesh", "photos", "cluster", "notebook"]  # that users may install
TESTED = ["video", "mesh", "cluster", "notebook", "test"]
BUILT = HERE / "build"
LICENCES = HERE / "docs" / "licences.md"


@nox.session(python=PYTHONS)
@nox.parametrize("versions", [nox.param(name, id=name) for name in ("oldest", "newest")])
def tests(session: nox.Session, versions: str) -> None:
    """The tests, with the oldest or the newest versions that pyproject.toml allows and that have wheels."""
    _install(session, TESTED, "lowest-direct" if versions == "oldest" else "highest")
    session.run("uv", "pip", "list", silent=False, external=True)
    folder = session.create_tmp()  # kernels are compiled by this Numba, for this Python
    arguments = session.posargs or ["-q", "-n", "2", "--dist", "loadfile"]
    session.run("python", "-m", "pytest", *arguments, env={"NUMBA_CACHE_DIR": folder})


@nox.session(python="3.11")
def campaign(session: nox.Session) -> None:
    """The campaign of bad input: nox -s campaign -- --cases 5000 --seed 0."""
    _install(session, TESTED, "highest")
    session.run("python", "-m", "tests.hostile", *session.posargs)


@nox.session(python="3.11")
def wheel(session: nox.Session) -> None:
    """The wheel, built twice: the same bytes, dated by the last commit."""
    session.install("build>=1.2")
    date = session.run("git", "log", "-1", "--format=%ct", external=True, silent=True)
    digests = []
    for attempt in ("first", "second"):
        folder = BUILT / "wheels" / attempt
        shutil.rmtree(folder, ignore_errors=True)
        environment = {"SOURCE_DATE_EPOCH": str(date).strip()}
        session.run("python", "-m", "build", "--outdir", str(folder), env=environment, silent=True)  # from the sdist
        (made,) = folder.glob("*.whl")
        digests.append(hashlib.sha256(made.read_bytes()).hexdigest())
        session.log(f"{digests[-1]}  {made.name}")
    if len(set(digests)) != 1:
        session.error("two wheels of the same commit differ")


@nox.session(python="3.11")
def sbom(session: nox.Session) -> None:
    """A software bill of materials (CycloneDX) for the package alone and with each extra, in build/sbom."""
    session.install("cyclonedx-bom>=7")
    (BUILT / "sbom").mkdir(parents=True, exist_ok=True)
    for extra in ["", *EXTRAS]:
        python = _environment(session, [extra] if extra else [])
        file = BUILT / "sbom" / f"nerf-mini{'-' if extra else ''}{extra}.cdx.json"
        session.run(
            "cyclonedx-py", "environment", "--pyproject", "pyproject.toml", "--output-reproducible", "--validate",
            "--output-file", str(file), str(python), silent=True,
        )  # fmt: skip
        session.log(f"{file.relative_to(HERE)}: {len(json.loads(file.read_text())['components'])} components")


@nox.session(python="3.11")
def audit(session: nox.Session) -> None:
    """Known vulnerabilities of the newest versions of all dependencies; fails where the database is out of reach."""
    session.install("pip-audit>=2.7")
    locked = _locked(session, EXTRAS, "highest")
    session.run("pip-audit", "--strict", "--requirement", str(locked), "--no-deps", "--disable-pip", *session.posargs)


@nox.session(python="3.11")
def licences(session: nox.Session) -> None:
    """docs/licences.md: the licences of all that the extras install. With -- --check, fail where it has changed."""
    session.install("pip-licenses>=5")
    rows: dict[str, tuple[str, str, list[str]]] = {}
    for extra in ["", *EXTRAS]:
        python = _environment(session, [extra] if extra else [])
        told = session.run(
            "pip-licenses", f"--python={python}", "--from=mixed", "--format=json", "--with-urls",
            "--ignore-packages", "nerf-mini", "pip", silent=True,
        )  # fmt: skip
        for found in json.loads(str(told)):
            row = rows.setdefault(found["Name"], (found["License"], found["URL"], []))
            row[2].append(extra)
    page = _licence_page(rows)
    if "--check" not in session.posargs:
        LICENCES.write_text(page, encoding="utf-8")
    elif LICENCES.read_text(encoding="utf-8") != page:
        session.error("licences have changed: nox -s licences, and read what is new")


def _licence_page(rows: dict[str, tuple[str, str, list[str]]]) -> str:
    """A table of packages, licences, and the extras that bring each; "" is the package without extras."""
    lines = [
        "# Licences of what nerf-mini installs", "",
        "nerf-mini is under the MIT licence. This table says under which licences the packages are that `pip install",
        "nerf-mini` brings along, and those of its extras. It is made by `nox -s licences`, from what the packages say",
        "of themselves.", "", "| package | licence | for |", "|---|---|---|",
    ]  # fmt: skip
    for name, (licence, url, extras) in sorted(rows.items(), key=lambda row: row[0].lower()):
        words = " ".join(licence.split()).replace("|", "/")
        words = words if len(words) <= 80 else words[:77] + "..."
        whom = "always" if "" in extras else ", ".join(extras)
        lines.append(f"| {f'[{name}]({url})' if url.startswith('http') else name} | {words} | {whom} |")
    return "\n".join(lines) + "\n"


def _install(session: nox.Session, extras: list[str], resolution: str) -> None:
    """This package, editable, with its extras at the versions that a resolution gives."""
    session.install("-r", str(_locked(session, extras, resolution)))
    session.install("--no-deps", "--editable", ".")


def _locked(session: nox.Session, extras: list[str], resolution: str) -> Path:
    """A file of requirements: all packages with their versions, of those that have wheels for this Python."""
    file = Path(session.create_tmp()) / f"{resolution}.txt"
    options = [f"--extra={extra}" for extra in extras]
    session.run_install(
        "uv", "pip", "compile", "--quiet", "--no-header", "--no-annotate", "--only-binary=:all:", "--upgrade",
        f"--resolution={resolution}", f"--python-version={session.python}", *options, "--output-file", str(file),
        str(HERE / "pyproject.toml"), external=True,
    )  # fmt: skip
    return file


def _environment(session: nox.Session, extras: list[str]) -> Path:
    """The Python of a fresh environment that holds this package with some extras and nothing else."""
    folder = Path(session.create_tmp()) / ("env-" + "-".join(extras))
    session.run("uv", "venv", "--quiet", "--clear", f"--python={session.python}", str(folder), external=True)
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    project = f".[{','.join(extras)}]" if extras else "."
    session.run("uv", "pip", "install", "--quiet", f"--python={python}", project, external=True)
    return python


assert set(EXTRAS) <= set(tomllib.loads((HERE / "pyproject.toml").read_text())["project"]["optional-dependencies"])
