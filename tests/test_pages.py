"""The pages tell the truth: their code runs, their links lead somewhere, the files that they name are there."""

import re
import shutil

import pytest
from pages import ROOT, assert_printed, blocks, run

import autodiff
import nerf_mini.ops  # noqa: F401  (registers its operators, before the fixture looks)
from autodiff.rules import REGISTRY
from nerf_mini.geometry.lenses import LENSES
from nerf_mini.outputs.export import EXPORTERS

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "data" / "README.md"])
WITH_CODE = ("extending", "pixel-to-gradient", "python")  # those of autodiff are run by its own tests
PACKAGES = "autodiff|nerf_mini|tests|docs|scripts|examples|data"
LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]*))?\)")
FILE = re.compile(rf"`((?:{PACKAGES})/[\w./-]*)`")
SHORT = re.compile(r"`((?:\w+/)+\w+\.py)`")  # as seen from nerf_mini or autodiff


@pytest.fixture(autouse=True)
def registries():
    """What the examples register is forgotten."""
    tables = (REGISTRY, autodiff.FUSED, LENSES, EXPORTERS)
    before = [dict(table) for table in tables]
    yield
    for table, contents in zip(tables, before, strict=True):
        table.clear()
        table.update(contents)


@pytest.mark.parametrize("name", WITH_CODE)
def test_examples_run_as_written(name, tmp_path, monkeypatch):
    page, names = ROOT / "docs" / f"{name}.md", {}
    shutil.copytree(ROOT / "data", tmp_path / "data")
    monkeypatch.chdir(tmp_path)
    for line, code, text in blocks(page):
        assert_printed(run(page, code, line, names), text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    for target, anchor in LINK.findall(text):
        file = (page.parent / target).resolve() if target else page
        assert file.exists(), target
        if anchor:
            headings = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("page", [page for page in PAGES if page.stem != "CHANGELOG"], ids=lambda page: page.stem)
def test_files_that_are_named_exist(page):
    text = page.read_text(encoding="utf-8")
    short = [name for name in SHORT.findall(text) if not re.match(f"({PACKAGES})/", name)]
    missing = [name for name in FILE.findall(text) if not (ROOT / name).exists()]
    missing += [name for name in short if not any((ROOT / part / name).exists() for part in ("nerf_mini", "autodiff"))]
    assert not missing


def test_every_page_is_linked_from_the_readme():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert not [page.name for page in (ROOT / "docs").glob("*.md") if f"docs/{page.name}" not in readme]
