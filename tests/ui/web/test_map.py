"""The map: the page without a browser, and the real thing with one."""

import io
import shutil
import struct
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from streamlit.testing.v1 import AppTest

from db.catalogue import Catalogue
from db.heard import store_heard
from db.writer import CatalogueWriter
from search.archive_map import draw_map
from search.map_file import map_path
from tests.db.conftest import analysis
from tests.ui.running import within
from tests.ui.web.conftest import served, visitor
from tests.ui.web.test_browser import Keep
from tests.ui.web.test_pages import said
from ui.web.jobs import Job, Progress
from ui.web.map_view import field_that_tells
from ui.web.map_view import within as condition_of
from ui.web.pages.map import drawing_jobs

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

N_RECORDINGS = 6
STAGE = ".stage[data-zoom]"
PLAYER = "document.getElementById('echoic-map-player')"
_WHOLE = 0.92  # of the shorter side of the stage


@pytest.fixture(scope="module")
def own(catalogue: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the catalogue in which lists may be made; without a map at first."""
    return Path(shutil.copytree(catalogue, tmp_path_factory.mktemp("map") / "catalogue"))


# -- Without a browser ---------------------------------------------------------------------------


@pytest.fixture
def app(
    catalogue: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[AppTest]:
    """The page over a copy of the small archive, before its first run."""
    shutil.copytree(catalogue, tmp_path / "catalogue")
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(tmp_path / "catalogue"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    yield AppTest.from_string("from ui.web.pages.map import page\npage()", default_timeout=60)


def buttons(app: AppTest) -> list[str]:
    return [button.label for button in app.button]


def test_before_a_map_is_drawn_the_page_offers_to_draw_it(app: AppTest) -> None:
    app.run()
    assert not app.exception
    assert "There is no map yet" in said(app)
    assert buttons(app) == ["Draw the map"]


def test_an_empty_archive_says_where_to_take_sounds_in(
    app: AppTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Catalogue.open(tmp_path / "empty", create=True).close()
    monkeypatch.setenv("ECHOIC_CATALOGUE", str(tmp_path / "empty"))
    app.run()
    assert not app.exception
    assert "The archive is empty" in said(app)


def test_what_came_since_is_counted_and_a_damaged_map_is_told(app: AppTest, tmp_path: Path) -> None:
    with Catalogue.open(tmp_path / "catalogue") as opened:
        draw_map(opened)
        (encoder,) = opened.encoders()
        app.run()
        assert f"{N_RECORDINGS} recordings." in said(app)
        assert "Draw anew" not in buttons(app)
        with CatalogueWriter(opened) as writer:
            root = opened.collections()[0].id
            made = analysis(root, "later.wav", encoder=encoder)
            writer.store([made, replace(analysis(root, "deaf.wav"), vectors={})])
        app.run()
        assert not app.exception
        assert "1 new recording since it was drawn" in said(app)
        assert "1 recording is not on it" in said(app)
        assert "Draw anew" in buttons(app)
        map_path(opened, encoder.name).write_bytes(b"nothing")
    app.run()
    assert not app.exception
    assert "is damaged" in said(app)
    assert "Draw the map" in buttons(app)


def test_a_drawing_that_failed_is_told_until_somebody_has_seen_it(
    app: AppTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = Job([], Progress(is_running=False, has_failed=True, said="the disk is full"))
    monkeypatch.setattr(drawing_jobs, "job", job)
    app.run()
    assert "the disk is full" in said(app)
    app.button(key="close_drawing").click().run()
    assert not app.exception
    assert not app.error
    assert buttons(app) == ["Draw the map"]


def test_the_first_colours_are_those_of_a_field_that_a_third_have(
    app: AppTest, tmp_path: Path
) -> None:
    with Catalogue.open(tmp_path / "catalogue") as opened:
        draw_map(opened)
        app.run()
        assert not app.exception
        assert "echoic tag" in said(app)
        (encoder,) = opened.encoders()
        ids = opened.columns().ids.tolist()
        assert len(ids) == N_RECORDINGS
        store_heard(opened, "few", "1", encoder.name, {ids[0]: [("bark", 0.9), ("dog", 0.8)]})
        assert field_that_tells(opened, ["heard"]) == "none"
        before = app.selectbox(key="map_colours").value
        assert before != "heard"
        app.run()
        assert "What is heard" in app.selectbox(key="map_colours").options
        assert app.selectbox(key="map_colours").value == before
        assert "echoic tag" not in said(app)
        store_heard(opened, "few", "1", encoder.name, {ids[1]: [("bark", 0.9)]})
        assert field_that_tells(opened, ["heard"]) == "heard"
        app.selectbox(key="map_colours").select("none").run()
        assert not app.exception


def test_the_condition_on_what_is_selected_lets_just_that_through() -> None:
    assert condition_of([9, 3, 4, 5, 1]) == "id:1,3..5,9"


# -- With one ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def map_address(own: Path, cache: Path) -> Iterator[str]:
    """The pages over an archive whose map nobody has drawn yet."""
    with served(own, cache) as found:
        yield found


class Points(NamedTuple):
    """What the browser was sent."""

    ids: NDArray[np.uint32]
    places: NDArray[np.float64]
    groups: NDArray[np.uint8]


@pytest.fixture
def map_page(browser: "Browser", map_address: str, own: Path) -> Iterator["Page"]:
    """A visitor's page with the map on it, drawn by the page itself if nobody has yet."""
    with visitor(browser, map_address) as page:
        shown(page, map_address)
        yield page


def shown(page: "Page", address: str) -> None:
    page.goto(f"{address}/map")
    draw = page.get_by_role("button", name="Draw the map")
    page.locator(STAGE).or_(draw).first.wait_for()
    if draw.is_visible():
        draw.click()
    page.locator(STAGE).wait_for(timeout=60_000)


def points_of(page: "Page", address: str) -> Points:
    """Read the points as they went over the wire."""
    path = page.evaluate(
        "() => performance.getEntriesByType('resource').map((e) => e.name)"
        ".filter((name) => name.includes('/map/points.bin')).pop()"
    )
    with urllib.request.urlopen(path) as answer:
        content = answer.read()
    magic, n, _ = struct.unpack("<8sII", content[:16])
    assert magic == b"ECHOMAP1"
    assert len(content) == 16 + 9 * n
    ids = np.frombuffer(content, "<u4", n, 16)
    places = np.frombuffer(content, "<u2", 2 * n, 16 + 4 * n).reshape(n, 2) / 65535
    return Points(ids, places, np.frombuffer(content, np.uint8, n, 16 + 8 * n))


def on_screen(page: "Page", place: NDArray[np.float64]) -> tuple[float, float]:
    """Return where a place of the map is on the screen while all of the map is shown."""
    box = page.locator(STAGE).bounding_box()
    assert box is not None
    scale = _WHOLE * min(box["width"], box["height"])
    x = box["x"] + (box["width"] - scale) / 2 + scale * place[0]
    return x, box["y"] + (box["height"] - scale) / 2 + scale * place[1]


def picture_of(page: "Page") -> NDArray[np.int64]:
    """Return what the canvas and what lies over it look like, shape (height, width, 3)."""
    image = pytest.importorskip("PIL.Image", reason="Streamlit brings Pillow")
    picture = image.open(io.BytesIO(page.locator("canvas").screenshot())).convert("RGB")
    return np.asarray(picture).astype(np.int64)


def colours_on(page: "Page") -> int:
    """Count the strong colours that the map shows."""
    pixels = picture_of(page).reshape(-1, 3)
    strong = pixels[np.ptp(pixels, axis=1) > 90]
    return len(np.unique(strong // 64, axis=0))


def test_the_map_is_drawn_from_the_page_and_a_pointer_plays_what_it_is_on(
    map_page: "Page", map_address: str, screenshot: Keep
) -> None:
    page = map_page
    assert page.locator(STAGE).get_attribute("aria-label") == f"Map of {N_RECORDINGS} recordings"
    assert colours_on(page) >= 2
    points = points_of(page, map_address)
    assert len(points.ids) == N_RECORDINGS
    page.mouse.move(*on_screen(page, points.places[2]))
    page.wait_for_function(f"() => {PLAYER} && !{PLAYER}.paused && {PLAYER}.currentTime > 0.15")
    assert page.evaluate(f"() => {PLAYER}.dataset.recording") == str(points.ids[2])
    assert "?v=" in page.evaluate(f"() => {PLAYER}.src")
    assert page.locator(".tip strong").inner_text().endswith((".wav", ".flac", ".mp3", ".ogg"))
    screenshot(page, "map-of-few")
    page.mouse.move(*on_screen(page, points.places[3]), steps=4)
    page.wait_for_function(
        f"() => {PLAYER}.dataset.recording === '{points.ids[3]}' && {PLAYER}.currentTime > 0.1"
    )
    assert page.locator("audio").count() == 1
    page.get_by_label("Hover plays").uncheck()
    page.wait_for_function(f"() => {PLAYER}.paused")
    page.mouse.move(*on_screen(page, points.places[2]))
    page.locator(".tip").wait_for()
    assert page.evaluate(f"() => {PLAYER}.paused")


def test_a_click_opens_the_recording(map_page: "Page", map_address: str) -> None:
    page = map_page
    points = points_of(page, map_address)
    page.mouse.click(*on_screen(page, points.places[0]))
    card = page.locator(".map .card")
    card.get_by_role("button", name="Stop").wait_for()  # a click plays, too
    card.get_by_role("link", name="Recording").click()
    page.locator(".card.large").wait_for()
    assert f"id={points.ids[0]}" in page.url


def test_a_lasso_selects_and_makes_a_list(map_page: "Page", map_address: str, own: Path) -> None:
    page = map_page
    points = points_of(page, map_address)
    page.get_by_role("button", name="Select by drawing around sounds").click()
    x, y = on_screen(page, points.places[1])
    page.mouse.move(x - 12, y - 12)
    page.mouse.down()
    for right, down in ((12, -12), (12, 12), (-12, 12), (-12, -12)):
        page.mouse.move(x + right, y + down, steps=4)
    page.mouse.up()
    away = np.linalg.norm(points.places - points.places[1], axis=1)
    assert np.count_nonzero(away < 0.05) == 1, "the test needs a point that lies alone"
    page.get_by_text("1 recording selected", exact=True).last.wait_for()
    opaque = np.array(opacities(page, points))
    assert opaque.min() > 20, "points have vanished"
    assert np.flatnonzero(opaque > 150).tolist() == [1]
    page.get_by_text("What is selected").click()
    assert page.locator(".chosen li").count() == 1
    page.get_by_role("button", name="Add to a list").click()
    name = f"from the map {time.time_ns()}"  # what an attempt before has left is not meant
    box = page.get_by_role("dialog").get_by_role("combobox")
    box.fill(name)
    box.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Add", exact=True).click()
    page.get_by_text(f"Added 1 passage to {name}").wait_for()
    out, _ = within("lists", "show", name, "--catalogue", own)
    assert f"#{points.ids[1]} " in out


def opacities(page: "Page", points: Points) -> list[int]:
    """Return how opaque the canvas is in the middle of each point, 0 to 255."""
    canvas = page.locator("canvas")
    box = canvas.bounding_box()
    assert box is not None
    places = [on_screen(page, place) for place in points.places]
    found: list[int] = canvas.evaluate(
        "(canvas, places) => places.map(([x, y]) =>"
        " canvas.getContext('2d').getImageData(x, y, 1, 1).data[3])",
        [[round(x - box["x"]), round(y - box["y"])] for x, y in places],
    )
    return found


def test_a_rectangle_selects_and_a_search_looks_within_it(
    map_page: "Page", map_address: str
) -> None:
    page = map_page
    points = points_of(page, map_address)
    box = page.locator(STAGE).bounding_box()
    assert box is not None
    page.keyboard.down("Shift")
    page.mouse.move(box["x"] + 3, box["y"] + 3)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 3, box["y"] + box["height"] - 3, steps=4)
    page.mouse.up()
    page.keyboard.up("Shift")
    page.get_by_text(f"{N_RECORDINGS} recordings selected", exact=True).last.wait_for()
    page.get_by_role("button", name="Search within them").click()
    page.wait_for_function(
        "(text) => document.querySelector('input[aria-label=\"Search the archive\"]')?.value"
        " === text",
        arg=condition_of(points.ids.tolist()),
    )
    page.get_by_role("link", name="Map").first.click()
    page.locator(STAGE).wait_for()
    page.get_by_role("button", name="Search within them").wait_for(state="detached")


def test_the_keyboard_reaches_what_the_pointer_does(map_page: "Page") -> None:
    page = map_page
    stage = page.locator(STAGE)
    page.get_by_label("Hover plays").uncheck()
    stage.focus()
    page.keyboard.press("+")
    page.wait_for_function("(e) => e.dataset.zoom === '1.40'", arg=stage.element_handle())
    page.keyboard.press("ArrowLeft")
    page.keyboard.press("0")
    page.wait_for_function("(e) => e.dataset.zoom === '1.00'", arg=stage.element_handle())
    for _ in range(30):  # move until a sound is near the cross
        page.keyboard.press("Enter")
        page.wait_for_timeout(150)
        if page.locator(".map .card").is_visible():
            break
        page.keyboard.press("-")
    assert (
        page.evaluate(
            "() => { let e = document.activeElement;"
            " while (e.shadowRoot) e = e.shadowRoot.activeElement; return e.className }"
        )
        == "main"
    )
    note = page.locator(".map .note")  # which is read out: the sound that the cross is on
    note.filter(has_text=page.locator(".map .card strong").inner_text()).wait_for()
    page.keyboard.press("Enter")
    page.wait_for_function(f"() => {PLAYER} && !{PLAYER}.paused")
    page.get_by_role("button", name="Select all that is in view").click()
    page.get_by_text("selected", exact=False).first.wait_for()


@pytest.mark.parametrize(
    ("scheme", "viewport"),
    [("light", {"width": 1400, "height": 900}), ("dark", {"width": 390, "height": 844})],
)
def test_everybody_can_use_the_map(
    browser: "Browser", map_address: str, scheme: str, viewport: dict[str, int]
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install -e '.[dev]' brings axe"
    ).Axe()
    options = {"color_scheme": scheme, "viewport": viewport, "has_touch": True}
    with visitor(browser, map_address, **options) as page:
        shown(page, map_address)
        points = points_of(page, map_address)
        x, y = on_screen(page, points.places[0])
        page.touchscreen.tap(x, y)
        page.locator(".map .card").wait_for()
        page.get_by_role("button", name="Select all that is in view").click()
        page.get_by_role("button", name="Search within them").wait_for()
        page.get_by_text("What is selected").click()
        page.locator("[data-test-script-state=notRunning]").wait_for()
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        found = [
            (fault["id"], [node["html"] for node in fault["nodes"]])
            for fault in axe.run(page).response["violations"]
            if fault["impact"] in ("serious", "critical")
        ]
        assert found == []
        stage = page.locator(STAGE)
        stage.scroll_into_view_if_needed()  # what was clicked last may have scrolled the page
        pinch(page, on_screen(page, points.places[0]))
        page.wait_for_function("(e) => Number(e.dataset.zoom) > 1.5", arg=stage.element_handle())


def pinch(page: "Page", at: tuple[float, float]) -> None:
    """Move two fingers apart."""
    client = page.context.new_cdp_session(page)

    def touch(kind: str, apart: float) -> None:
        fingers = [
            {"x": at[0] - apart, "y": at[1], "id": 0},
            {"x": at[0] + apart, "y": at[1], "id": 1},
        ]
        touches = fingers if kind != "touchEnd" else []
        client.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": touches})

    touch("touchStart", 20)
    for apart in (25, 30, 35, 40):
        touch("touchMove", apart)
    touch("touchEnd", 40)


# The browser of the tests has no graphics processor, and says so.
_PRETEND = """
const told = WebGLRenderingContext.prototype.getParameter
WebGLRenderingContext.prototype.getParameter = function (what) {
  return what === 0x9246 || what === this.RENDERER ? "a graphics processor" : told.call(this, what)
}
"""


def test_a_graphics_processor_draws_the_same_map(browser: "Browser", map_address: str) -> None:
    with visitor(browser, map_address) as page:
        shown(page, map_address)
        assert page.locator("canvas").get_attribute("data-painter") == "pixels"
        by_pixels = picture_of(page)
        page.add_init_script(_PRETEND)
        shown(page, map_address)
        assert page.locator("canvas").get_attribute("data-painter") == "webgl"
        by_webgl = picture_of(page)
        points = points_of(page, map_address)
        box = page.locator("canvas").bounding_box()
        assert box is not None
        for place in points.places:
            x, y = on_screen(page, place)
            at = (round(y - box["y"]), round(x - box["x"]))
            np.testing.assert_allclose(by_webgl[at], by_pixels[at], atol=25)


@pytest.mark.parametrize(
    "path",
    [
        "points.bin?by=nothing",
        "points.bin",
        "names?ids=",
        "names?ids=1,x",
        "names?ids=" + "1," * 300,
    ],
)
def test_what_cannot_be_answered_is_refused_with_a_sentence(map_address: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{map_address}/map/{path}")
    assert refused.value.code in (404, 422)
    assert refused.value.headers["content-type"].startswith("text/plain")
