"""Reports in a real browser, from the disk: Chromium driven by Playwright, where both are installed."""

from pathlib import Path

import pytest

from nerf_mini.outputs.report import compare_runs


@pytest.fixture
def show(browser):
    """A function that opens a file; what the page should not do is an error at the end of the test."""
    pages, wrong = [], []

    def opened(file: Path, **options):
        page = browser.new_page(viewport={"width": 1100, "height": 800}, **options)
        page.set_default_timeout(60_000)
        page.on("console", lambda message: wrong.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: wrong.append(f"error: {error}"))

        def watched(route):
            address = route.request.url
            if not address.startswith(("file://", "data:")):
                wrong.append(f"request: {address}")
                route.abort()
            else:
                route.continue_()

        page.route("**/*", watched)
        page.goto(file.resolve().as_uri())
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert not wrong


def shares(page) -> list[float]:
    """Of each slider, the share of the width that shows the left picture."""
    return page.evaluate(
        "[...document.querySelectorAll('.slider')].map(s => parseFloat(getComputedStyle(s).getPropertyValue('--x')))"
    )


def test_a_report_opens_from_the_disk_with_all_its_pictures(show, reported_run):
    page = show(reported_run / "report.html")
    assert page.title() == "blobs – nerf-mini"
    sizes = page.evaluate("[...document.images].map(i => [i.complete, i.naturalWidth, i.clientWidth])")
    assert len(sizes) == 10 and all(done and own > 0 and shown > 0 for done, own, shown in sizes)
    assert page.locator("svg.chart polyline").count() == 4
    assert page.locator("svg.chart circle title").first.text_content().startswith("blobs, step ")
    page.locator("summary").click()
    assert page.locator("details td", has_text="samples").first.is_visible()


def test_the_slider_moves_by_keyboard_and_pointer(show, reported_run):
    page = show(reported_run / "report.html")
    first = page.locator(".slider").first
    assert shares(page) == [50, 50]
    page.locator(".slider input").first.focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert shares(page) == [52, 50]
    page.keyboard.press("End")
    assert shares(page) == [100, 50]
    whole = first.screenshot()
    page.keyboard.press("Home")
    assert shares(page) == [0, 50]
    assert first.screenshot() != whole, "the other picture"
    box = first.bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 0.5 * box["height"])
    assert shares(page)[0] == pytest.approx(25, abs=3)
    clip = page.evaluate("getComputedStyle(document.querySelector('.slider .over')).clipPath")
    assert clip.startswith("inset(0"), clip


def test_a_touch_moves_the_slider(show, reported_run):
    page = show(reported_run / "report.html", has_touch=True)
    slider = page.locator(".slider").first
    slider.scroll_into_view_if_needed()
    box = slider.bounding_box()
    page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + 0.4 * box["height"])
    assert shares(page)[0] == pytest.approx(80, abs=3)


@pytest.mark.parametrize("width", [360, 700, 1100])
def test_nothing_is_wider_than_the_window(show, reported_run, width):
    page = show(reported_run / "report.html")
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def contrast(page, selector: str) -> float:
    """That of the text of an element against the page (WCAG)."""
    colors = page.evaluate(
        "s => [getComputedStyle(document.querySelector(s)).color, getComputedStyle(document.body).backgroundColor]",
        selector,
    )

    def luminance(color: str) -> float:
        channels = [int(part) / 255 for part in color[4:-1].split(",")]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted(map(luminance, colors))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_can_be_read_in_the_light_and_in_the_dark(show, reported_run, scheme):
    page = show(reported_run / "report.html", color_scheme=scheme)
    for selector in ("body", ".lead", "th", "summary", ".figures .first dd"):
        assert contrast(page, selector) > 4.5, selector


def test_a_report_prints_in_black_on_white_with_both_pictures(show, reported_run):
    page = show(reported_run / "report.html", color_scheme="dark")
    page.emulate_media(media="print")
    assert contrast(page, "body") > 12
    left, right = (page.locator(f".slider img{which}").first.bounding_box() for which in (".over", ":not(.over)"))
    assert left["x"] + left["width"] <= right["x"] + 1, "side by side"
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_two_runs_share_a_slider(show, reported_run, tmp_path):
    page = show(compare_runs(reported_run, reported_run, tmp_path / "both.html"))
    page.locator(".slider input").last.focus()
    page.keyboard.press("ArrowLeft")
    assert shares(page) == [50, 49]
