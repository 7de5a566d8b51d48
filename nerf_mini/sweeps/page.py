"""The results of a sweep as one self-contained page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nerf_mini.outputs.report.gallery import link_from
from nerf_mini.outputs.report.markup import Markup, tag
from nerf_mini.outputs.report.page import document
from nerf_mini.outputs.report.pictures import webp_uri
from nerf_mini.outputs.report.sections import number, section, table
from nerf_mini.outputs.report.wording import counted, duration, figure
from nerf_mini.sweeps.plan import Plan
from nerf_mini.sweeps.tables import HEADS, Group, Row, groups
from nerf_mini.sweeps.training import RENDERING, TRUTH

PAGE = "sweep.html"
_LARGEST = 1 << 20  # bytes of a picture; those that trainings write are a few kB


def sweep_page(plan: Plan, rows: Sequence[Row], output: Path) -> bytes:
    """The page: means over seeds, pictures, and every run with a link to its report."""
    finished = [row for row in rows if row.outcome is not None]
    words = (
        f"{counted(len(plan.sources), 'scene')}, {counted(len(plan.settings), 'setting')},"
        f" {counted(len(plan.seeds), 'seed')}: {len(finished)} of {counted(len(rows), 'run')} finished."
    )
    head = (
        tag("p", "nerf-mini sweep", class_="eyebrow"), tag("h1", plan.name), tag("p", words, class_="lead")
    )  # fmt: skip
    parts = [_means(groups(rows)), *_pictures(plan, finished, output), _runs(finished, output), _machines(finished)]
    return document(f"{plan.name} – nerf-mini", *head, *parts)


def _means(found: Sequence[Group]) -> Markup:
    caption = (
        "Means over test views, then over seeds; ± is the standard deviation over seeds. Of several settings, the best"
        " of each scene stands out. Times are those of the machine, and of what else it did."
    )
    several = len({group.settings for group in found}) > 1
    rows = []
    for group in found:
        rivals = [g.mean(lambda o: o.psnr) or 0.0 for g in found if g.scene == group.scene]
        best = several and group.mean(lambda o: o.psnr) == max(rivals)
        seeds, psnr, *others = group.figures
        cells = number(group.settings), number(seeds), number(psnr, "better" if best else ""), map(number, others)
        rows.append(tag("tr", tag("td", group.scene), *cells))
    return section("Scores", table(HEADS, rows), caption=caption)


def _pictures(plan: Plan, finished: Sequence[Row], output: Path) -> list[Markup]:
    """Of each scene a test view: the truth, and what each setting made of it with the first seed that is there."""
    blocks = []
    for source in plan.sources:
        first: dict[str, Row] = {}
        for row in finished:
            if row.task.source == source:
                first.setdefault(row.task.settings, row)
        panels = [_panel(_picture(output, row, RENDERING), name) for name, row in first.items()]
        truth = next((_picture(output, row, TRUTH) for row in first.values()), None)
        shown = [panel for panel in (_panel(truth, "truth"), *panels) if panel is not None]
        if shown:
            style = "panels four" if len(shown) > 3 else "panels"
            title = tag("header", tag("h3", source.name))
            blocks.append(tag("article", title, tag("div", shown, class_=style), class_="view"))
    return [section("A test view of each scene", blocks)] if blocks else []


def _picture(output: Path, row: Row, name: str) -> str | None:
    file = output / row.task.folder / "renders" / name
    try:
        content = file.read_bytes() if file.stat().st_size <= _LARGEST else b""
    except OSError:
        return None
    return webp_uri(content) if content[:4] == b"RIFF" and content[8:12] == b"WEBP" else None


def _panel(picture: str | None, name: str) -> Markup | None:
    return None if picture is None else tag("figure", tag("img", src=picture, alt=name), tag("figcaption", name))


def _runs(finished: Sequence[Row], output: Path) -> Markup:
    rows = []
    for row in finished:
        outcome, report = row.outcome, output / row.task.folder / "report.html"
        assert outcome is not None
        name = str(row.task)
        link = tag("a", name, href=link_from(output / PAGE, report)) if report.is_file() else name
        cells = (
            figure(outcome.psnr), figure(outcome.ssim, 4), str(outcome.views), str(outcome.step),
            duration(outcome.seconds), duration(outcome.seconds_per_view),
        )  # fmt: skip
        rows.append(tag("tr", tag("td", link), [number(text) for text in cells]))
    heads = ("Run", "PSNR, dB", "SSIM", "Test views", "Steps", "Training", "Per view")
    return section("Runs", table(heads, rows), caption="Every run, with its report where it has one.")


def _machines(finished: Sequence[Row]) -> Markup | None:
    """What trained, once each."""
    names = list(dict.fromkeys(row.outcome.machine for row in finished if row.outcome is not None))
    return section("Trained on", [tag("p", name) for name in names]) if names else None
