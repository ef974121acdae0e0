"""From what people do on the page to queries, and back to the text in the box."""

import html
import sys
from pathlib import Path

import pytest

from search.errors import QueryError
from search.language import parse
from search.query import Archived, Example, Words
from ui.web import asking
from ui.web.jobs import Job, JobError, Jobs, Progress, _after
from ui.web.pages.common import plain
from ui.web.uploads import Uploads


def test_filters_are_written_read_and_taken_back() -> None:
    text = asking.choose("rain on a roof", "tag", ["field recording", "dog"])
    assert text == 'rain on a roof tag:"field recording",dog'
    assert asking.chosen(parse(text), "tag") == ["field recording", "dog"]
    text = asking.choose(text, "samplerate", ["44100"])
    assert asking.chosen(parse(text), "samplerate") == ["44100"]
    text = asking.choose(asking.choose(text, "tag", []), "samplerate", [])
    assert text == "rain on a roof"
    assert asking.choose("tag:dog", "tag", []) == ""


@pytest.mark.parametrize("name", asking.LENGTHS)
def test_every_length_is_recognised_in_the_text_it_writes(name: str) -> None:
    text = asking.choose_length("bell -siren", name)
    assert text.startswith("bell -siren duration:")
    assert asking.chosen_length(parse(text)) == name
    assert asking.choose_length(text, None) == "bell -siren"


def test_more_like_this_keeps_the_conditions_and_drops_the_words() -> None:
    query = parse(asking.more_like("dog -cat format:WAV", 42, 12.5, 17.504))
    (sound,) = query.sounds
    assert sound.terms == (Archived(42, 12.5, 17.5),)
    assert len(query.without) == 1
    assert asking.chosen(query, "format") == ["WAV"]


def test_less_like_this_can_be_said_again_and_again() -> None:
    text = asking.less_like("dog barking", 1, 0.0, 5.0)
    query = parse(asking.less_like(text, 2, 1.0, 2.0))
    words, *less = query.sounds[0].terms
    assert words == Words("dog barking")
    assert [term.weight for term in less] == [-0.5, -0.5]
    with pytest.raises(QueryError, match="say first what you want to hear"):
        asking.less_like("format:WAV", 1, 0.0, 5.0)


def test_an_example_joins_the_words_as_one_sound(tmp_path: Path) -> None:
    example = Example(tmp_path / "a.wav", 1.0, 2.0)
    assert asking.read("", example).sounds[0].terms == (example,)
    assert asking.read("with rain", example).sounds[0].terms == (example, Words("with rain"))


def test_files_outside_the_archive_are_not_read_for_a_visitor(tmp_path: Path) -> None:
    inside = tmp_path / "sounds"
    inside.mkdir()
    asking.check_files(parse(f"like:{inside}/a.wav"), [inside])
    for text in (
        "like:/etc/passwd",
        f"like:{inside}/../secret.wav",
        "rain -like:/etc/passwd",
        "rain copyof:/etc",
        "rain + like:/etc/passwd",
    ):
        with pytest.raises(QueryError, match="none of the archive's folders"):
            asking.check_files(parse(text), [inside])


def test_uploads_are_named_by_content_and_found_by_no_other_name(tmp_path: Path) -> None:
    import numpy as np
    import soundfile

    soundfile.write(tmp_path / "a.wav", np.zeros(8_000), 8_000)
    content = (tmp_path / "a.wav").read_bytes()
    uploads = Uploads(tmp_path / "kept")
    kept = uploads.keep(content, "../../My clip.WAV")
    assert kept.path.parent == uploads.folder
    assert kept.duration_s == 1.0
    assert uploads.find(kept.name) == kept
    assert uploads.keep(content, "other.wav") == kept
    for name in ("../a.wav", "a.wav", "", kept.name.replace(".wav", ".mp3"), "/etc/passwd"):
        assert uploads.find(name) is None


def test_progress_follows_the_lines_of_a_run() -> None:
    progress = Progress()
    for event in (
        {"event": "planned", "to_do": 2, "root": "/sounds"},
        {"event": "done"},
        {"event": "failed", "path": "a.wav", "reason": "empty"},
    ):
        progress = _after(progress, event)
    assert (progress.n_done, progress.n_all, progress.n_failed) == (2, 2, 1)
    assert progress.share == 1.0
    assert progress.failed == ("a.wav: empty",)


def test_a_run_that_cannot_begin_has_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "no such program"))
    job = Job([("Drawing", ["map"])])
    job.run()
    assert not job.progress.is_running
    assert job.progress.has_failed
    assert "no such program" in job.progress.said


def test_a_run_that_says_what_nobody_understands_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "program"
    program.write_text('#!/bin/sh\necho \'{"event": "planned"}\'\n')
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    job = Job([("Indexing", ["index"])])
    with pytest.raises(KeyError):
        job.run()
    assert not job.progress.is_running
    assert job.progress.has_failed


def test_whoever_asks_for_a_second_run_hears_what_goes_on() -> None:
    jobs = Jobs("the map is being drawn already")
    jobs.job = Job([])
    with pytest.raises(JobError, match="the map is being drawn already"):
        jobs.start([])


@pytest.mark.parametrize(
    "name",
    [
        "07. Rain.wav",
        "12) Rain",
        "- a dash",
        "+1",
        "---",
        "    four spaces",
        "a &amp; b &copy;",
        "![no picture](x.png)",
        "the same <b>dog & *more*.wav",
        "tape\r\n1. side A",
        "see https://example.org/a_b",
    ],
)
def test_a_name_is_shown_as_it_is(name: str) -> None:
    markdown_it = pytest.importorskip("markdown_it", reason="pip install markdown-it-py")
    shown = markdown_it.MarkdownIt("commonmark").render(plain(name))
    wanted = html.escape(" ".join(name.split()), quote=False)
    assert shown == f"<p>{wanted}</p>\n"


def test_a_name_leads_nowhere() -> None:
    assert "www." not in plain("from www.example.org")
    assert plain("awww. nice") == "awww. nice"
