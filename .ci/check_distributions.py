"""What is in the wheel and in the source distribution: `python .ci/check_distributions.py dist`."""

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = (".py", ".typed", ".html", ".css", ".js", ".svg")


def modules() -> set[str]:
    """All files of both packages that a user needs, the pages of the viewer and of reports among them."""
    packages = (ROOT / package for package in ("autodiff", "nerf_mini"))
    files = {file for package in packages for file in package.rglob("*") if file.suffix in KINDS}
    return {file.relative_to(ROOT).as_posix() for file in files}


def main(folder: Path) -> None:
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    in_wheel = set(zipfile.ZipFile(wheel).namelist())
    lacking = modules() - in_wheel
    assert not lacking, f"{wheel.name} lacks {sorted(lacking)}"
    assert {"autodiff/py.typed", "nerf_mini/py.typed"} <= in_wheel
    strays = {name for name in in_wheel - modules() if ".dist-info/" not in name}
    assert not strays, f"{wheel.name} holds {sorted(strays)}"
    assert any(name.endswith("/licenses/LICENSE") for name in in_wheel)

    with tarfile.open(source) as archive:
        in_source = {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}
    wanted = {"LICENSE", "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "CITATION.cff", "pyproject.toml"}
    for part in ("tests", "docs", "scripts", "data", "examples"):
        files = (f for f in (ROOT / part).rglob("*") if f.is_file() and "__pycache__" not in f.parts)
        wanted |= {file.relative_to(ROOT).as_posix() for file in files if ".ipynb_checkpoints" not in file.parts}
    lacking = (wanted | modules()) - in_source
    assert not lacking, f"{source.name} lacks {sorted(lacking)}"
    print(f"{wheel.name}: {len(in_wheel)} files; {source.name}: {len(in_source)} files")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
