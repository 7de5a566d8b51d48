"""The viewer's page, as its visitors meet it."""

import numpy as np
from watching import IS_SHARP, Server, pixels, until

from nerf_mini.io.images import to_uint8
from nerf_mini.outputs.free_views import free_cameras
from nerf_mini.rendering.images import render_image
from nerf_mini.runs.restoring import load_trainer

PHONE = {"viewport": {"width": 390, "height": 760}, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
NAMED = """(element) => element.getAttribute("aria-label") || element.textContent.trim()
    || document.querySelector(`label[for="${element.id}"]`)?.textContent || element.closest("label")?.textContent"""
CONTROLS = "button, input, select, summary, canvas[tabindex], code[tabindex]"


def drag(page, by, steps=6):
    """Drag the scene from its middle, and keep hold of it."""
    page.mouse.move(160, 180)
    page.mouse.down()
    page.mouse.move(160 + by[0], 180 + by[1], steps=steps)


def open_sections(page):
    page.evaluate("document.querySelectorAll('details').forEach((section) => (section.open = true))")


def test_the_page_shows_the_very_pixels_of_a_rendering(visit, server, viewed_run):
    page = visit(server.url, percent=100)
    shown = pixels(page)
    assert shown.shape == (400, 720, 3) and shown.std() > 10
    camera = page.evaluate("({ pose: viewer.camera.pose, fov: viewer.camera.fov })")
    trainer = load_trainer(viewed_run)
    cameras = free_cameras(trainer, np.reshape(camera["pose"], (1, 4, 4)), [camera["fov"]], (720, 400))
    rendered = render_image(trainer.model, trainer.field, cameras, trainer.cameras.background)
    np.testing.assert_array_equal(shown, to_uint8(rendered.color))


def test_from_afar_a_picture_without_aliasing_comes_last(visit, server, viewed_run):
    page = visit(server.url, percent=100)
    near, count = page.evaluate("viewer.camera.distance"), page.evaluate("viewer.frames.log.length")
    while page.evaluate("viewer.camera.distance") < 20 * near:
        page.keyboard.press("-")
    until(page, IS_SHARP)
    sharp = page.evaluate(f"viewer.frames.log.slice({count}).filter((frame) => frame.final).length")
    assert sharp == 2
    camera = page.evaluate("({ pose: viewer.camera.pose, fov: viewer.camera.fov })")
    trainer = load_trainer(viewed_run)
    cameras = free_cameras(trainer, np.reshape(camera["pose"], (1, 4, 4)), [camera["fov"]], (720, 400))
    assert trainer.supersampling(cameras) == 2
    np.testing.assert_array_equal(pixels(page), to_uint8(trainer.render(cameras).color))


def test_dragging_turns_the_scene_in_small_pictures_that_sharpen_when_it_rests(visit, server):
    page = visit(server.url, percent=50)
    page.evaluate("[viewer.frames.rate, viewer.fps] = [2e4, 20]")  # a slow machine: small pictures are worth it
    before, count = pixels(page), page.evaluate("viewer.frames.log.length")
    drag(page, (90, -30))
    until(page, f"viewer.frames.log.length > {count}")
    assert page.evaluate("viewer.frames.log.at(-1).height") < 200
    page.mouse.up()
    until(page, IS_SHARP)
    sizes = page.evaluate(f"viewer.frames.log.slice({count}).map(({{ width, height }}) => [width, height])")
    assert sizes[-1] == [360, 200] and sizes[0][1] % 8 == 0
    assert (pixels(page) != before).any()
    assert page.evaluate("viewer.camera.z.map((x, i) => x * viewer.camera.y[i]).reduce((a, b) => a + b)") < 1e-9


def test_keys_choose_what_is_shown_and_move(visit, server):
    page = visit(server.url)
    pictures = [pixels(page)]
    for key in "234":
        page.keyboard.press(key)
        until(page, IS_SHARP)
        pictures.append(pixels(page))
    assert page.is_checked("input[value=normals]")
    assert len({picture.tobytes() for picture in pictures}) == 4
    assert (np.ptp(pictures[2], axis=2) == 0).all()  # opacity is grey
    page.keyboard.press("r")
    distance = page.evaluate("viewer.camera.distance")
    page.keyboard.press("+")
    assert page.evaluate("viewer.camera.distance") < distance
    eye = page.evaluate("viewer.camera.eye")
    page.keyboard.down("w")
    until(page, f"viewer.camera.eye[0] !== {eye[0]}")
    page.keyboard.up("w")
    page.keyboard.press("?")
    assert page.is_visible("#keys")
    page.keyboard.press("Escape")
    page.wait_for_selector("#keys", state="hidden")
    until(page, "!document.activeElement.closest('dialog')")  # where keys mean something else
    page.keyboard.press("h")
    page.wait_for_selector("#panel", state="hidden")
    page.keyboard.press("h")
    page.wait_for_selector("#panel", state="visible")


def test_background_and_crop(visit, server):
    page = visit(server.url)
    open_sections(page)
    page.fill("#background", "#ff0000")
    until(page, IS_SHARP)
    assert (pixels(page)[0, 0] == [255, 0, 0]).all()
    page.check("#crop")
    page.evaluate("""() => ["x", "y", "z"].forEach((axis) => {
        const slider = document.getElementById(`crop-sides-${axis}`);
        slider.value = slider.min;
        slider.dispatchEvent(new Event("input"));
    })""")
    until(page, IS_SHARP)
    assert (pixels(page) == [255, 0, 0]).all(axis=2).mean() > 0.9
    page.click("#crop-reset")
    page.click("#background-reset")
    until(page, IS_SHARP)
    assert (pixels(page) != [255, 0, 0]).any(axis=2).all()


def test_a_training_view_stands_beside_its_photo(visit, server, viewed_run):
    page = visit(server.url, reduced_motion="reduce")
    page.keyboard.press("]")
    until(page, "viewer.view === 0 && viewer.picture.photo && viewer.picture.view === 0 && " + IS_SHARP)
    assert page.is_visible("#split") and "0" in page.inner_text("#view-name")
    place = page.evaluate("viewer.picture.rectangle(0)")
    columns = slice(place["x"], place["x"] + place["width"])
    rows = slice(place["y"], place["y"] + place["height"])
    page.evaluate("""() => { split.value = 100; split.dispatchEvent(new Event("input")); }""")
    photo = pixels(page)[rows, columns].astype(float)
    page.focus("#split")
    page.keyboard.press("Home")
    rendering = pixels(page)[rows, columns].astype(float)
    assert 0 < np.abs(photo - rendering).mean() < 25  # the same scene, photographed and learnt
    drag(page, (40, 0))
    page.mouse.up()
    until(page, "viewer.view === null && " + IS_SHARP)
    assert not page.is_visible("#compare")


def test_a_click_on_a_camera_flies_there(visit, server):
    page = visit(server.url, reduced_motion="reduce")
    page.mouse.move(160, 180)
    page.mouse.wheel(0, 900)
    until(page, "viewer.overlay.drawn.length > 3 && " + IS_SHARP)
    middles = page.evaluate("viewer.overlay.drawn.map(({ middle }) => middle)")
    x, y = next(m for m in reversed(middles) if 10 < m[0] < 200 and 20 < m[1] < 320)
    page.mouse.move(x, y)
    until(page, "viewer.overlay.hovered !== null")
    assert page.is_visible("#tag")
    hovered = page.evaluate("viewer.overlay.hovered.index")
    page.mouse.click(x, y)
    until(page, f"viewer.view === {hovered}")


def test_a_camera_path_is_kept(visit, server, viewed_run):
    page = visit(server.url, reduced_motion="reduce")
    page.keyboard.press("k")
    drag(page, (60, 20))
    page.mouse.up()
    page.click("#keyframe-add")
    drag(page, (60, 20))
    page.mouse.up()
    page.click("#keyframe-add")
    page.get_by_label("Delete keyframe 2").click()
    page.fill("#path-seconds", "2")
    page.fill("#path-fps", "5")
    page.press("#path-fps", "Tab")
    until(page, "viewer.paths.way?.poses.length === 10")
    until(page, "!viewer.frames.errands.length")
    opacity = "(canvas) => canvas.getContext('2d').getImageData(30, 20, 1, 1).data[3]"
    assert page.evaluate(f"[...document.querySelectorAll('.thumb canvas')].map({opacity})") == [255, 255]
    page.fill("#path-name", "there-and-back")
    page.click("#path-save-button")
    page.wait_for_selector("#path-done:visible")
    assert (viewed_run / "paths" / "there-and-back.json").is_file()
    assert "nerf-mini render" in page.inner_text("#path-command")
    kept = page.evaluate("viewer.paths.keyframes")
    page.reload()
    until(page, IS_SHARP)
    page.evaluate("sessionStorage.clear()")
    page.reload()
    until(page, IS_SHARP)
    assert page.evaluate("viewer.paths.keyframes.length") == 0
    open_sections(page)
    page.select_option("#path-load", "there-and-back")
    until(page, "viewer.paths.way")
    found = page.evaluate("viewer.paths.keyframes")
    for frame, other in zip(found, kept, strict=True):
        np.testing.assert_allclose(frame["pose"], other["pose"], atol=1e-6)
        assert abs(frame["fov"] - other["fov"]) < 1e-6
    page.click("#path-play")
    until(page, "viewer.playing")
    until(page, "!viewer.playing")
    reached, last = page.evaluate("[viewer.camera.pose, viewer.paths.way.poses.at(-1)]")
    np.testing.assert_allclose(reached, last, atol=1e-9)


def test_two_tabs_look_at_once(visit, server):
    first = visit(server.url)
    second = visit(server.url, beside=first)
    first.bring_to_front()
    drag(first, (30, 0))
    first.mouse.up()
    second.bring_to_front()
    drag(second, (-60, 0))
    second.mouse.up()
    for page in (first, second):
        page.bring_to_front()
        until(page, IS_SHARP)
    assert first.evaluate("viewer.frames.client") != second.evaluate("viewer.frames.client")
    assert (pixels(first) != pixels(second)).any()


def test_the_page_outlives_its_server(visit, viewed_run):
    server = Server("view", viewed_run, "--port", 0, "--no-open")
    try:
        page = visit(server.url)
        page.expected = "ERR_"  # the browser notes down every connection that fails
        before = page.evaluate("viewer.camera.pose")
        server.kill()
        drag(page, (50, 0))
        page.mouse.up()
        page.wait_for_selector("#retry:visible")
        assert "lost" in page.inner_text("#banner")
        server = Server("view", viewed_run, "--port", server.port, "--no-open")
        until(page, "!viewer.connection.lost && " + IS_SHARP)
        assert not page.is_visible("#banner")
        assert page.evaluate("viewer.camera.pose") != before
        assert pixels(page).std() > 10
    finally:
        server.kill()


def test_on_a_phone_the_panel_is_a_sheet(visit, server):
    page = visit(server.url, **PHONE)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    page.tap("#fold")
    panel = page.locator("#panel").bounding_box()
    assert panel["x"] == 0 and panel["width"] == 390 and panel["y"] > 250 and panel["y"] + panel["height"] <= 761
    assert page.evaluate("sections.scrollWidth <= sections.clientWidth")
    page.tap("text=Depth")
    until(page, "viewer.shading === 'depth' && " + IS_SHARP)
    touches = page.context.new_cdp_session(page)
    distance = page.evaluate("viewer.camera.distance")
    for kind, half in (("touchStart", 30), ("touchMove", 50), ("touchMove", 90), ("touchEnd", 0)):
        points = [{"x": 200 + half * side, "y": 120} for side in (-1, 1)] if half else []
        touches.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    until(page, f"viewer.camera.distance < 0.7 * {distance}")


def test_every_control_is_reached_by_keyboard_and_has_a_name(visit, server):
    page = visit(server.url)
    open_sections(page)
    page.evaluate(f"""() => {{
        const seen = (element) => element.checkVisibility() && !element.disabled;
        window.wanted = [...document.querySelectorAll("{CONTROLS}")].filter(seen);
        window.reached = new Set();
    }}""")
    count = page.evaluate("wanted.length")
    assert count > 30
    for _ in range(count + 2):
        page.keyboard.press("Tab")
        page.evaluate("reached.add(document.activeElement)")
    missed = "wanted.filter((e) => !reached.has(e) && (e.type !== 'radio' || e.checked))"  # arrows go on among radios
    assert page.evaluate(f"{missed}.map((e) => e.outerHTML)") == []
    assert page.evaluate(f"wanted.filter((e) => !({NAMED})(e)).map((e) => e.outerHTML)") == []
    page.locator("#shadings input").first.focus()
    page.keyboard.press("ArrowRight")  # changes what is shown, and does not turn the scene
    until(page, "viewer.shading === 'depth'")


def test_light_and_dark(visit, server):
    page = visit(server.url, color_scheme="dark")
    color = "getComputedStyle(panel).color"
    automatic = page.evaluate(color)
    page.click("#theme")
    assert page.evaluate(color) != automatic
    page.click("#theme")
    assert page.evaluate(color) == automatic
    page.reload()
    until(page, IS_SHARP)
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"


def test_a_training_is_watched_paused_and_saved(visit, viewed_data, tmp_path):
    sizes = "--levels 4 --log2-entries 10 --base-resolution 4 --finest-resolution 32 --hidden-width 32 --color-layers 1"
    steps = "--samples-per-step 2048 --march-steps 128 --occupancy-resolution 16 --max-steps 100000"
    options = [*sizes.split(), *steps.split(), "--output", tmp_path / "run"]
    server = Server("train", viewed_data, *options, "--view", "--port", 0, "--no-open")
    try:
        page = visit(server.url, ready="viewer.frames.log.length > 0")
        until(page, "curve.querySelector('polyline')?.points.length > 2")
        page.click("#pause")
        until(page, "pause.textContent === 'Resume'")
        step = page.inner_text("#step")
        page.click("#save")
        page.wait_for_selector(f"text=Saved at step {step}")
        until(page, IS_SHARP + " && document.querySelector('#training-state').textContent === 'Paused'")
        assert step == page.inner_text("#step")
        assert (tmp_path / "run" / "checkpoints" / f"step-{int(step.replace(',', '')):07d}.npz").is_file()
        page.click("#pause")
        until(page, f"document.querySelector('#step').textContent !== '{step}'")
        page.wait_for_timeout(300)
        seen = page.evaluate("viewer.frames.step")
        until(page, f"viewer.frames.step > {seen}")  # the picture follows without being asked
    finally:
        server.kill()
