"""A run, its viewer, and pages in a real browser."""

from urllib.parse import urlsplit

import pytest
from watching import IS_SHARP, PATIENCE, Server, until

from nerf_mini.config import with_settings
from nerf_mini.runs.session import start
from nerf_mini.scenes.synthetic import make_scene

WINDOW = {"width": 720, "height": 400}  # wide enough for the panel to stand beside the picture


@pytest.fixture(scope="session")
def viewed_data(tmp_path_factory, browser):
    """A scene of 8 training views of 32 x 32 pixels."""
    return make_scene("blobs", tmp_path_factory.mktemp("scenes") / "viewed", size=32, views=8)


@pytest.fixture(scope="session")
def viewed_run(tmp_path_factory, viewed_data, tiny):
    """A run that has learnt to tell the scene from its background."""
    path = tmp_path_factory.mktemp("runs") / "viewed"
    start(viewed_data, path, with_settings(tiny, max_steps=100, decay_steps=100)).train()
    return path


@pytest.fixture(scope="session")
def server(viewed_run):
    """The viewer of that run."""
    server = Server("view", viewed_run, "--port", 0, "--no-open")
    yield server
    server.kill()


@pytest.fixture
def visit(browser):
    """A function that opens an address in a browser profile of its own, or in that of another `page`; pictures at
        rest have this percentage of the window's size.

    At the end of a test: nothing was asked of another machine, and the console is free of errors, but for those that
    are `page.expected`, a part of their text.
    """
    contexts = []

    def open_page(url, ready=IS_SHARP, beside=None, percent=25, **options):
        if beside is None:
            contexts.append(browser.new_context(**{"viewport": WINDOW, **options}))
            contexts[-1].set_default_timeout(1e3 * PATIENCE)
            contexts[-1].add_init_script(f"localStorage['nerf-mini percent'] ??= {percent}")
        page = (beside.context if beside else contexts[-1]).new_page()
        page.expected, page.errors, page.asked = None, [], []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.on("console", lambda message: message.type in ("error", "warning") and page.errors.append(message.text))
        page.on("request", lambda request: page.asked.append(request.url))
        page.goto(url)
        until(page, ready)
        return page

    yield open_page
    for context in contexts:
        for page in context.pages:
            assert not [text for text in page.errors if not page.expected or page.expected not in text]
            asked = [url for url in page.asked if not url.startswith(("data:", "blob:"))]
            assert {urlsplit(url).netloc for url in asked} == {urlsplit(page.url).netloc}
        context.close()
