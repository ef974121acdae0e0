"""The pages in a real browser, as people use them: type, listen, refine, drop a sound in."""

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

import pytest
import soundfile

from tests.ui.web.conftest import FIELD, FIELD_SR, Launch, served, visitor

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Locator, Page

Keep = Callable[["Page", str], Path]
_BOX = 'input[aria-label="Search the archive"]'

# A browser on a busy machine is sometimes late; what fails three times is wrong.
pytestmark = pytest.mark.flaky(reruns=2)


def ask(page: "Page", text: str) -> None:
    box = page.locator(_BOX)
    box.fill(text)
    box.press("Enter")


def card(page: "Page", name: str) -> "Locator":
    return page.locator(".card", has=page.locator("h3", has_text=name)).first


def playing_at(page: "Page") -> float:
    """Wait until sound is heard; return the time in the recording."""
    page.wait_for_function(
        "() => { const a = document.getElementById('echoic-player');"
        " return a && !a.paused && a.currentTime > 0.15 }"
    )
    return float(
        page.evaluate(
            "() => { const a = document.getElementById('echoic-player');"
            " return Number(a.dataset.from) + a.currentTime }"
        )
    )


def is_silent(page: "Page") -> bool:
    return bool(
        page.evaluate("() => [...document.querySelectorAll('audio')].every((a) => a.paused)")
    )


def test_words_bring_a_card_whose_passage_can_be_heard(page: "Page", address: str) -> None:
    page.goto(address)
    ask(page, "dog barking")
    field = card(page, FIELD)
    field.locator(".play").click()
    assert 14 < playing_at(page) < 27  # where a dog barks in it
    assert field.locator(".play").get_attribute("aria-label") == f"Stop {FIELD}.flac"
    # Another archive that is served here later has other sounds under the same numbers.
    assert "?v=" in page.evaluate("() => document.getElementById('echoic-player').src")
    dog = card(page, "dog-barking")
    dog.locator(".play").click()
    page.wait_for_function(
        "() => document.querySelectorAll('audio').length === 1"
        " && document.getElementById('echoic-player').dataset.from === '0'"
    )
    assert "playing" not in (field.get_attribute("class") or "")
    dog.locator(".play").click()
    page.wait_for_function("() => document.getElementById('echoic-player').paused")


def test_pictures_say_what_they_show_and_can_be_waveforms(page: "Page", address: str) -> None:
    page.goto(f"{address}/?q=church+bell")
    image = card(page, FIELD).locator("img")
    image.wait_for()
    # Of a minute and a half a coarse picture comes first, and gives way to the whole one.
    page.wait_for_function(
        "(image) => image.naturalWidth > 300 && !image.src.includes('coarse')",
        arg=image.element_handle(),
    )
    assert (image.get_attribute("alt") or "").startswith(f"Spectrogram of {FIELD}")
    page.get_by_role("button", name="Show waveforms").click()
    page.wait_for_function(
        "(image) => image.naturalWidth > 300 && image.src.includes('view=waveform')",
        arg=image.element_handle(),
    )
    assert (image.get_attribute("alt") or "").startswith(f"Waveform of {FIELD}")
    page.reload()
    page.get_by_role("button", name="Show spectrograms").wait_for()


def test_keys_move_between_sounds_play_them_and_go_to_the_box(page: "Page", address: str) -> None:
    page.goto(f"{address}/?q=dog+barking")
    card(page, FIELD).wait_for()
    page.locator(".card.active").wait_for(state="detached")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    second = page.locator(".card").nth(1)
    assert "active" in (second.get_attribute("class") or "")
    page.keyboard.press(" ")
    playing_at(page)
    assert "playing" in (second.get_attribute("class") or "")
    page.keyboard.press(" ")
    page.wait_for_function("() => document.getElementById('echoic-player').paused")
    page.keyboard.press("/")
    page.keyboard.type("siren")
    page.keyboard.press("Enter")
    card(page, "siren").wait_for()


def test_a_passage_repeats_when_it_is_told_to(page: "Page", address: str) -> None:
    page.goto(f"{address}/?q=cat")
    cat = card(page, "cat-meowing")
    loop = cat.get_by_role("button", name="Repeat the passage")
    loop.click()
    assert loop.get_attribute("aria-pressed") == "true"
    cat.locator(".play").click()
    playing_at(page)
    assert page.evaluate("() => document.getElementById('echoic-player').loop") is True


def test_a_click_in_the_picture_plays_from_there(page: "Page", address: str) -> None:
    page.goto(f"{address}/?q=dog+barking")
    strip = card(page, FIELD).locator(".strip")
    strip.scroll_into_view_if_needed()
    box = strip.bounding_box()
    assert box is not None
    strip.click(position={"x": box["width"] / 2, "y": 20})
    assert 44 < playing_at(page) < 49  # the middle of a minute and a half
    # What is fetched is short; at its end the next piece follows.
    page.evaluate("() => { document.getElementById('echoic-player').currentTime = 29.5 }")
    page.wait_for_function(
        "() => Number(document.getElementById('echoic-player').dataset.from) > 70"
    )
    assert 74 < playing_at(page) < 79


def test_less_like_this_refines_the_words_and_more_like_this_asks_for_the_passage(
    page: "Page", address: str
) -> None:
    page.goto(f"{address}/?q=dog+barking")
    card(page, FIELD).get_by_role("button", name="Less like this").click()
    page.wait_for_function(
        "() => document.querySelector('input[aria-label=\"Search the archive\"]')"
        "?.value.startsWith('dog barking - like:#')"
    )
    page.goto(f"{address}/?q=dog+barking")
    card(page, "dog-barking").get_by_role("button", name="More like this").click()
    page.wait_for_function(
        "() => document.querySelector('input[aria-label=\"Search the archive\"]')"
        "?.value.startsWith('like:#')"
    )
    page.get_by_text("is dog-barking.wav").wait_for()
    card(page, "").wait_for()
    assert "q=like" in page.url


def test_a_filter_at_the_side_writes_itself_into_the_box(page: "Page", address: str) -> None:
    page.goto(f"{address}/?q=dog+barking")
    page.get_by_text("30 s to 2 min").click()
    page.wait_for_function(
        "() => document.querySelector('input[aria-label=\"Search the archive\"]')"
        "?.value === 'dog barking duration:30..<120'"
    )
    card(page, FIELD).wait_for()
    page.locator(".card h3", has_text="dog-barking").wait_for(state="detached")
    page.get_by_text("30 s to 2 min").click()
    card(page, "dog-barking").wait_for()
    assert page.locator(_BOX).input_value() == "dog barking"
    page.get_by_test_id("stSidebar").get_by_role("button", name="FLAC").click()
    page.wait_for_function(
        "() => document.querySelector('input[aria-label=\"Search the archive\"]')"
        "?.value === 'dog barking format:FLAC'"
    )


def test_the_address_holds_the_question(page: "Page", address: str) -> None:
    page.goto(address)
    ask(page, "church bell -siren")
    card(page, "church-bell").wait_for()
    assert "q=church+bell+-siren" in page.url or "q=church%20bell%20-siren" in page.url
    page.reload()
    card(page, "church-bell").wait_for()
    assert page.locator(_BOX).input_value() == "church bell -siren"


def test_a_sound_that_is_dropped_in_finds_its_like(
    page: "Page", address: str, sounds: Path
) -> None:
    page.goto(address)
    page.get_by_role("button", name="Use a sound").click()
    page.locator('input[type="file"]').set_input_files(sounds / "animals/crow-cawing.wav")
    page.get_by_text("Sounds like").first.wait_for()
    page.keyboard.press("Escape")
    card(page, FIELD).wait_for(state="attached")  # a crow caws in it, too
    assert "example=" in page.url
    page.reload()
    page.get_by_text("Sounds like").first.wait_for()
    page.get_by_role("button", name="Take away").click()
    page.get_by_text("For instance").wait_for()


def test_a_clip_is_identified_with_its_place_and_taken_to_the_search(
    page: "Page", address: str, clip: Path, screenshot: Keep
) -> None:
    page.goto(f"{address}/identify")
    notes = clip.with_name("notes.txt")
    notes.write_text("no sound at all")
    page.locator('input[type="file"]').set_input_files(notes)
    page.get_by_text("The file notes.txt cannot be heard").wait_for()
    cut = clip.with_name("cut.wav")
    data = clip.read_bytes()
    cut.write_bytes(data[: len(data) * 6 // 10])
    page.locator('input[type="file"]').set_input_files(cut)
    page.get_by_text("your clip: the header promises 10.0 s, the file holds 6.0 s").wait_for()
    page.goto(f"{address}/identify")
    page.locator('input[type="file"]').set_input_files(clip)
    page.get_by_text("chance of a mistake").wait_for()
    said = page.get_by_test_id("stAlert").first.inner_text()
    assert FIELD in said
    assert "0:36" in said
    screenshot(page, "identify")
    page.get_by_role("button", name="Search for what sounds like it").click()
    page.get_by_text("Sounds like mystery.wav").wait_for()
    card(page, "church-bell").wait_for()


@pytest.fixture
def clip(sounds: Path, tmp_path: Path) -> Path:
    """Ten seconds of the field recording from 0:36 on, in mono, softer."""
    path = sounds / f"field/{FIELD}.flac"
    samples, rate = soundfile.read(path, start=36 * FIELD_SR, frames=10 * FIELD_SR)
    target = tmp_path / "mystery.wav"
    soundfile.write(target, 0.5 * samples.mean(axis=1), rate)
    return target


def test_the_microphone_is_listened_to(launch: Launch, address: str, clip: Path) -> None:
    browser = launch(
        "--use-fake-ui-for-media-stream",
        "--use-fake-device-for-media-stream",
        f"--use-file-for-fake-audio-capture={clip}",
    )
    with visitor(browser, address, permissions=["microphone"]) as page:
        page.goto(f"{address}/identify")
        page.get_by_role("button", name="Record").click()
        time.sleep(5)
        page.get_by_role("button", name="Stop recording").click()
        page.get_by_text("chance of a mistake").wait_for()
        assert FIELD in page.get_by_test_id("stAlert").first.inner_text()
    browser.close()


def test_the_recording_page_shows_passages_and_what_is_known(
    page: "Page", address: str, screenshot: Keep
) -> None:
    page.goto(f"{address}/?q=dog+barking")
    card(page, FIELD).get_by_role("button", name="Show the whole recording").click()
    large = page.locator(".card.large")
    large.wait_for()
    assert large.locator(".chip").count() >= 1
    page.get_by_text("Edge of a village").first.wait_for()
    large.get_by_role("button", name="Zoom in").click()
    assert large.locator(".range").inner_text() != "0:00 to 1:30"
    large.locator(".play").click()
    playing_at(page)
    screenshot(page, "recording")
    page.get_by_role("button", name="Back to the search").click()
    page.locator(_BOX).wait_for()
    card(page, "dog-barking").wait_for()
    assert is_silent(page)


def test_a_recording_tells_all_its_names_as_they_are_and_where_else_it_is_heard(
    page: "Page", address: str
) -> None:
    page.goto(f"{address}/?q=dog+barking")
    card(page, "dog-barking").get_by_role("button", name="Show the whole recording").click()
    page.get_by_text("the same <b>dog & *more*.wav").wait_for()
    page.get_by_role("button", name="Look for them").click()
    page.get_by_text("of this recording").first.wait_for()
    assert card(page, FIELD).locator(".chip").first.inner_text().startswith("0:18")


def test_the_archive_page_says_what_could_not_be_read(
    page: "Page", address: str, screenshot: Keep
) -> None:
    page.goto(f"{address}/archive")
    page.get_by_text("All well").first.wait_for()
    screenshot(page, "archive")
    page.get_by_role("tab", name="Could not be read (1)").click()
    page.get_by_text("echoic failures --retry").wait_for()
    page.get_by_role("tab", name="Held twice").click()
    page.get_by_role("button", name="Look for what is held twice").click()
    page.get_by_text("The same in 2 files").wait_for()


def test_hits_are_exported_under_their_question(page: "Page", address: str) -> None:
    page.goto(f"{address}/?q=dog+barking")
    page.get_by_role("button", name="Export").click()
    form = page.get_by_test_id("stPopoverBody")
    form.get_by_role("combobox").click()
    page.get_by_role("option", name="CMX 3600").click()
    form.get_by_text("Frames a second").wait_for()
    form.get_by_role("button", name="Make the file").click()
    with page.expect_download() as download:
        form.get_by_role("link", name="Download", exact=True).click()
    assert download.value.suggested_filename == "echoic.edl"
    text = Path(download.value.path()).read_text("utf-8")
    assert text.startswith("TITLE: dog barking")
    assert "dog-barking.wav" in text


def test_passages_are_kept_heard_ordered_and_taken_out_of_a_list(
    page: "Page", address: str, screenshot: Keep
) -> None:
    name = f"Village & <more> {time.time_ns()}"  # what an attempt before has left is not meant
    page.goto(f"{address}/?q=dog+barking")
    card(page, FIELD).get_by_role("button", name="Add to a list").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Add", exact=True).focus()
    page.keyboard.press("ArrowDown")  # moves nothing behind the dialog
    assert page.locator(".card.active h3").inner_text() == f"{FIELD}.flac"
    dialog.get_by_role("combobox").fill(name)
    dialog.get_by_role("combobox").press("Enter")
    dialog.get_by_label("Note").fill("the dog from afar")
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text(f"Added 1 passage to {name}.").wait_for()
    # Before the page is done with it: the note was of that passage only.
    page.get_by_role("button", name="Add all to list").click()
    dialog.get_by_text("Each sound with its best passage").wait_for()
    assert dialog.get_by_label("Note").input_value() == ""
    dialog.get_by_role("button", name="Add", exact=True).click()
    page.get_by_text("1 was in it already").wait_for()
    page.get_by_role("link", name="Saved").first.click()
    titles = page.locator(".card h3")
    wait_for_titles(page, [f"1. {FIELD}.flac", "2. dog-barking.wav"])
    page.get_by_text("the dog from afar").wait_for()
    page.locator(".card .play").first.click()
    assert 14 < playing_at(page) < 27
    screenshot(page, "lists")
    card(page, "dog-barking").get_by_role("button", name="Move up").click()
    wait_for_titles(page, ["1. dog-barking.wav", f"2. {FIELD}.flac"])
    titles.first.wait_for()
    card(page, "dog-barking").get_by_role("button", name="Take out of the list").click()
    wait_for_titles(page, [f"1. {FIELD}.flac"])
    page.get_by_role("button", name="Put it back").click()
    wait_for_titles(page, ["1. dog-barking.wav", f"2. {FIELD}.flac"])
    page.get_by_role("button", name="Delete").click()
    page.get_by_role("button", name="Delete the list").click()
    # Another list may be shown instead: that of an attempt before.
    page.wait_for_url(lambda there: name not in unquote_plus(there))


def wait_for_titles(page: "Page", wanted: list[str]) -> None:
    page.wait_for_function(
        "(wanted) => { const found = [...document.querySelectorAll('*')].flatMap((one) =>"
        " one.shadowRoot ? [...one.shadowRoot.querySelectorAll('.card h3')] : [])"
        ".map((one) => one.textContent);"
        " return JSON.stringify(found) === JSON.stringify(wanted) }",
        arg=wanted,
    )


def test_a_passage_is_downloaded_as_wav_at_its_own_rate(page: "Page", address: str) -> None:
    page.goto(f"{address}/?q=dog+barking")
    with page.expect_download() as download:
        card(page, FIELD).get_by_role("link", name="Download the passage").click()
    assert download.value.suggested_filename.startswith(FIELD)
    info = soundfile.info(download.value.path())
    assert (info.samplerate, info.channels, info.subtype) == (32_000, 2, "PCM_24")
    assert 4 < info.duration < 15


def test_two_visitors_do_not_see_each_others_questions(browser: "Browser", address: str) -> None:
    with visitor(browser, address) as one, visitor(browser, address) as other:
        one.goto(f"{address}/?q=church+bell")
        other.goto(f"{address}/?q=siren")
        card(one, "church-bell").wait_for()
        card(other, "siren").wait_for()
        assert one.locator(_BOX).input_value() == "church bell"


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("search", {}),
        ("search-dark", {"color_scheme": "dark"}),
        ("search-narrow", {"viewport": {"width": 390, "height": 844}}),
    ],
)
def test_the_search_page_fits_its_screen_and_everybody_can_use_it(
    browser: "Browser", address: str, screenshot: Keep, name: str, options: dict[str, object]
) -> None:
    with visitor(browser, address, **options) as page:
        page.goto(f"{address}/?q=dog+barking")
        card(page, FIELD).wait_for()
        page.wait_for_load_state("networkidle")
        assert page.evaluate("() => document.documentElement.scrollWidth <= window.innerWidth")
        nameless = page.evaluate(
            "() => [...document.querySelectorAll('.stBidiComponent *')].flatMap((e) =>"
            " e.shadowRoot ? [...e.shadowRoot.querySelectorAll('button, a, img')] : [])"
            ".filter((e) => !(e.getAttribute('aria-label') || e.alt || e.textContent.trim()))"
            ".map((e) => e.outerHTML)"
        )
        assert nameless == []
        screenshot(page, name)
        if "narrow" in name:  # the filters have a name where they are folded away
            unfold = page.get_by_role("button", name="Expand sidebar")
            said = "(button) => getComputedStyle(button, '::after').content"
            assert unfold.evaluate(said) == '"Narrow down"'
            # Every page is one touch away there, too.
            page.locator(".st-key-narrow_pages a", has_text="Identify").click()
            page.wait_for_url("**/identify")


@pytest.mark.parametrize(
    ("scheme", "paths"),
    [
        ("light", ["recording?id=1&q=dog", "identify", "archive", "saved?show=searches", ""]),
        ("dark", ["?q=dog+barking", "saved"]),
    ],
)
def test_axe_finds_no_serious_fault(
    browser: "Browser", address: str, scheme: str, paths: list[str]
) -> None:
    axe = pytest.importorskip(
        "axe_playwright_python.sync_playwright", reason="pip install -e '.[dev]' brings axe"
    ).Axe()
    with visitor(browser, address, color_scheme=scheme) as page:
        for path in paths:
            page.goto(f"{address}/{path}")
            page.locator("[data-test-script-state=notRunning]").wait_for()
            page.wait_for_load_state("networkidle")
            found = [
                (fault["id"], [node["html"] for node in fault["nodes"]])
                for fault in axe.run(page).response["violations"]
                if fault["impact"] in ("serious", "critical")
            ]
            assert found == [], path


def test_a_first_visit_offers_to_index_a_folder_and_does_so(
    browser: "Browser", cache: Path, sounds: Path, tmp_path: Path
) -> None:
    folder = sounds / "animals"
    opening = tmp_path / "open-browser"
    opening.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    opening.chmod(0o755)
    with (
        served(tmp_path / "catalogue", cache, opening=str(opening)) as address,
        visitor(browser, address) as page,
    ):
        page.goto(f"{address}/archive")  # before any other page has been seen
        page.get_by_text("Welcome to Echoic").wait_for()
        page.get_by_label("A folder with sounds, on this machine").fill(str(folder))
        page.get_by_role("button", name="Index this folder").click()
        page.get_by_text("3 files were listened to").wait_for(timeout=90_000)
        page.get_by_role("link", name="Search").click()
        page.get_by_text("3 recordings").wait_for()
        assert (tmp_path / "opened").read_text().strip() == address


def test_sounds_of_the_server_are_not_for_other_sites(address: str) -> None:
    request = urllib.request.Request(
        f"{address}/sound/recording/1/picture.png", headers={"Host": "evil.example"}
    )
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    assert refused.value.code == 400


@pytest.mark.parametrize(
    "path",
    [
        "recording/999999/picture.png",
        "recording/1x/picture.png",
        "recording/..%2f..%2fetc%2fpasswd/picture.png",
        "upload/..%2f..%2fetc%2fpasswd/picture.png",
        "upload/0123/excerpt.flac?from=0&to=1",
        "recording/1/excerpt.flac?from=nan&to=1",
        "recording/1/excerpt.flac?from=0&to=1e9",
        "recording/1/excerpt.flac?from=99999&to=100001",
    ],
)
def test_what_is_not_there_is_refused_with_a_sentence(address: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"{address}/sound/{path}")
    if "..%2f" in path:  # Streamlit lets none of these through to us
        assert refused.value.code == 400
        return
    assert refused.value.code in (404, 422)
    assert refused.value.headers["content-type"].startswith("text/plain")
    assert " " in refused.value.read().decode()
