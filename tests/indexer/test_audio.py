"""Decoding: what comes out of good, cut, damaged and hostile files."""

import os
import pickle
import struct
import tracemalloc
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile as sf
from numpy.typing import NDArray

from indexer.audio import (
    AUDIO_SUFFIXES,
    AudioInfo,
    MonoResampler,
    mix_to_mono,
    open_audio,
)
from indexer.errors import AudioError
from indexer.mono import read_mono

SR = 44_100


def tone(
    seconds: float, *, sr: int = SR, channels: int = 1, hz: float = 440.0
) -> NDArray[np.float32]:
    t = np.arange(round(seconds * sr)) / sr
    one = (0.4 * np.sin(2 * np.pi * hz * t) + 0.1 * np.sin(2 * np.pi * 1234 * t)).astype(np.float32)
    return np.stack([one * (1 - 0.5 * c / channels) for c in range(channels)], axis=1)


def write_av(path: Path, codec: str, samples: NDArray[np.float32], sr: int, **kind: str) -> Path:
    """Encode with FFmpeg what libsndfile cannot write."""
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(str(path), "w", **kind) as container:
        stream = container.add_stream(codec, rate=sr)
        stream.layout = layout
        stream.bit_rate = 192_000  # WMA has no rate of its own
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples.T), format="fltp", layout=layout
        )
        frame.sample_rate = sr
        resampler = av.AudioResampler(format=stream.format, layout=layout, rate=sr)
        fifo = av.AudioFifo()
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            fifo.write(part)
        size = stream.codec_context.frame_size or 1024
        position = 0
        while (part := fifo.read(size, partial=True)) is not None:
            part.pts, part.time_base, part.sample_rate = position, Fraction(1, sr), sr
            position += part.samples
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))
    return path


def decode(path: Path) -> tuple[NDArray[np.float32], AudioInfo, list[str]]:
    with open_audio(path) as reader:
        blocks = list(reader.blocks())
        return np.concatenate(blocks), reader.info, reader.warnings


Maker = Callable[[Path], Path]


def by_sndfile(suffix: str, subtype: str, sr: int = SR) -> Maker:
    def make(folder: Path) -> Path:
        path = folder / f"tone.{suffix}"
        kind = {"opus": "OGG"}.get(suffix)
        sf.write(path, tone(3, sr=sr, channels=2), sr, subtype=subtype, format=kind)
        return path

    return make


def by_ffmpeg(suffix: str, codec: str, sr: int = SR, **kind: str) -> Maker:
    return lambda folder: write_av(
        folder / f"tone.{suffix}", codec, tone(3, sr=sr, channels=2), sr, **kind
    )


FORMATS = {
    "wav": (by_sndfile("wav", "PCM_16"), AudioInfo(SR, 2, "WAV", "PCM_16", 16, "libsndfile")),
    "wav24": (by_sndfile("wav", "PCM_24"), AudioInfo(SR, 2, "WAV", "PCM_24", 24, "libsndfile")),
    "float": (by_sndfile("wav", "FLOAT"), AudioInfo(SR, 2, "WAV", "FLOAT", 32, "libsndfile")),
    "aiff": (by_sndfile("aiff", "PCM_16"), AudioInfo(SR, 2, "AIFF", "PCM_16", 16, "libsndfile")),
    "flac": (by_sndfile("flac", "PCM_24"), AudioInfo(SR, 2, "FLAC", "FLAC", 24, "libsndfile")),
    "vorbis": (by_sndfile("ogg", "VORBIS"), AudioInfo(SR, 2, "OGG", "VORBIS", None, "libsndfile")),
    "opus": (
        by_sndfile("opus", "OPUS", 48_000),
        AudioInfo(48_000, 2, "OGG", "OPUS", None, "ffmpeg"),
    ),
    "mp3": (by_sndfile("mp3", "MPEG_LAYER_III"), AudioInfo(SR, 2, "MP3", "MP3", None, "ffmpeg")),
    "m4a": (by_ffmpeg("m4a", "aac"), AudioInfo(SR, 2, "MP4", "AAC", None, "ffmpeg")),
    "alac": (by_ffmpeg("m4a", "alac"), AudioInfo(SR, 2, "MP4", "ALAC", None, "ffmpeg")),
    "aac": (
        by_ffmpeg("aac", "aac", format="adts"),
        AudioInfo(SR, 2, "ADTS", "AAC", None, "ffmpeg"),
    ),
    "caf": (by_ffmpeg("caf", "alac"), AudioInfo(SR, 2, "CAF", "ALAC", None, "ffmpeg")),
    "webm": (
        by_ffmpeg("webm", "libopus", 48_000),
        AudioInfo(48_000, 2, "MATROSKA", "OPUS", None, "ffmpeg"),
    ),
    "wma": (by_ffmpeg("wma", "wmav2"), AudioInfo(SR, 2, "ASF", "WMAV2", None, "ffmpeg")),
    "wavpack": (by_ffmpeg("wv", "wavpack"), AudioInfo(SR, 2, "WAVPACK", "WAVPACK", 16, "ffmpeg")),
    "mulaw": (by_sndfile("wav", "ULAW"), AudioInfo(SR, 2, "WAV", "ULAW", None, "libsndfile")),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_tone_comes_back_from_every_format(name: str, tmp_path: Path) -> None:
    make, expected = FORMATS[name]
    path = make(tmp_path)
    samples, info, warnings = decode(path)
    assert info == expected
    assert warnings == []
    assert samples.dtype == np.float32
    assert samples.shape[1] == 2
    assert len(samples) / info.sample_rate == pytest.approx(3, abs=0.08)
    # The tone, its level, and the channels in their order.
    middle = samples[len(samples) // 3 :][: info.sample_rate]
    spectrum = np.abs(np.fft.rfft(middle[:, 0]))
    assert np.argmax(spectrum) == pytest.approx(440, abs=2)
    assert np.sqrt((middle**2).mean(axis=0)) == pytest.approx([0.2915, 0.2186], rel=0.04)
    assert path.suffix in AUDIO_SUFFIXES


def test_lossless_formats_give_the_very_samples(tmp_path: Path) -> None:
    wanted = np.round(tone(2, channels=2) * 32768) / 32768
    for suffix in ("wav", "flac", "aiff", "w64", "caf", "au"):
        path = tmp_path / f"x.{suffix}"
        sf.write(path, wanted, SR, subtype="PCM_16")
        assert np.array_equal(decode(path)[0], wanted.astype(np.float32)), suffix


def test_both_decoders_agree_on_the_same_samples(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    sf.write(path, tone(1, channels=2), SR, subtype="PCM_24")
    by_libsndfile, info, _ = decode(path)
    assert info.decoder == "libsndfile"
    data = bytearray(path.read_bytes())
    # A header that was never completed: libsndfile finds no sound in it, FFmpeg does.
    position = data.index(b"data") + 4
    data[position : position + 4] = struct.pack("<I", 0)
    path.write_bytes(data)
    by_ffmpeg, info, warnings = decode(path)
    assert info.decoder == "ffmpeg"
    assert (info.codec, info.bit_depth, warnings) == ("PCM_24", 24, [])
    assert np.array_equal(by_libsndfile, by_ffmpeg)


def test_blocks_stay_small_however_long_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    sf.write(path, np.zeros((SR * 65, 1), dtype=np.int16), SR)
    with open_audio(path) as reader:
        sizes = [len(block) for block in reader.blocks()]
    assert sum(sizes) == SR * 65
    assert max(sizes) <= SR * 10


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "mp3"])
def test_a_file_cut_off_gives_what_it_holds_and_says_so(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / f"x.{suffix}"
    sf.write(path, tone(30) + 0.05 * rng.standard_normal((30 * SR, 1)), SR)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 6 // 10])
    samples, _, warnings = decode(path)
    assert len(samples) / SR == pytest.approx(18, abs=0.5)
    assert warnings == [f"the header promises 30.0 s, the file holds {len(samples) / SR:.1f} s"]


@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_damage_in_the_middle_is_an_error_that_names_the_time(suffix: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / f"x.{suffix}"
    sf.write(path, tone(30) + 0.05 * rng.standard_normal((30 * SR, 1)), SR)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 30_000] = rng.integers(0, 256, 30_000, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    with pytest.raises(AudioError, match=r"damaged at 1[45]\.\d s"):
        decode(path)


def test_an_ogg_file_with_a_hole_says_that_sound_is_missing(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    path = tmp_path / "x.ogg"
    sf.write(path, tone(20) + 0.05 * rng.standard_normal((20 * SR, 1)), SR)
    data = bytearray(path.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 6000] = rng.integers(0, 256, 6000, dtype=np.uint8).tobytes()
    path.write_bytes(data)
    _, _, warnings = decode(path)
    assert "the header promises 20.0 s, the file holds 19." in warnings[0]


def test_a_header_of_a_length_that_nobody_has_recorded_is_harmless(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    sf.write(path, tone(1), SR)
    data = bytearray(path.read_bytes())
    position = data.index(b"data") + 4
    data[position : position + 4] = struct.pack("<I", 0xFFFFFFF0)
    path.write_bytes(data)
    tracemalloc.start()
    samples, _, warnings = decode(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert len(samples) == SR
    assert "the header promises 48695.8 s, the file holds 1.0 s" in warnings
    assert peak < 30e6


def wav_header(*, channels: int, sr: int, data: bytes) -> bytes:
    block = 2 * channels
    fmt = struct.pack("<HHIIHH", 1, channels, sr, sr * block & 0xFFFFFFFF, block & 0xFFFF, 16)
    body = b"WAVE" + b"fmt " + struct.pack("<I", 16) + fmt
    body += b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(body)) + body


@pytest.mark.parametrize(("channels", "sr"), [(60_000, SR), (0, SR), (1, 0), (1, 4_000_000_000)])
def test_absurd_headers_are_errors(channels: int, sr: int, tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav_header(channels=channels, sr=sr, data=b"\1\2" * 50_000))
    tracemalloc.start()
    with pytest.raises(AudioError):
        decode(path)
    assert tracemalloc.get_traced_memory()[1] < 50e6
    tracemalloc.stop()


def test_a_thousand_channels_are_read_in_small_blocks(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_bytes(wav_header(channels=1000, sr=48_000, data=b"\0\1" * 1000 * 9000))
    with open_audio(path) as reader:
        sizes = [block.nbytes for block in reader.blocks()]
    assert sum(sizes) == 1000 * 9000 * 4
    assert max(sizes) <= 16_000_000


def test_text_renamed_to_wav_is_not_audio_and_both_decoders_say_why(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    path.write_text("Dear archivist, this is a letter.\n" * 100)
    with pytest.raises(AudioError, match=r"^not audio: libsndfile: .*; FFmpeg: .*"):
        open_audio(path)


def test_a_playlist_renamed_to_wav_opens_no_other_file(tmp_path: Path) -> None:
    sf.write(tmp_path / "secret.flac", tone(1), SR)
    path = tmp_path / "x.wav"
    path.write_text("ffconcat version 1.0\nfile secret.flac\n")
    with pytest.raises(AudioError, match="not audio"):
        open_audio(path)


def test_files_that_cannot_be_opened_say_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "empty.wav").touch()
    (tmp_path / "link.wav").symlink_to(tmp_path / "gone.wav")
    (tmp_path / "loop.wav").symlink_to(tmp_path / "loop.wav")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    sf.write(tmp_path / "silent.wav", np.zeros((0, 1)), SR)
    reasons = {
        "empty.wav": "empty: 0 bytes",
        "link.wav": f"a broken link to {tmp_path / 'gone.wav'}",
        "loop.wav": "cannot be read: a link that leads to itself",
        "gone.wav": "does not exist",
        "folder.wav": "a folder, not a file",
        "pipe.wav": "not a regular file",
        "silent.wav": "holds no audio",
    }
    for name, reason in reasons.items():
        with pytest.raises(AudioError) as caught:
            open_audio(tmp_path / name)
        assert str(caught.value) == reason


def test_a_file_without_permission_says_so(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    sf.write(path, tone(0.1), SR)
    path.chmod(0)
    read_end, write_end = os.pipe()
    if (child := os.fork()) == 0:
        try:
            if os.geteuid() == 0:
                os.setuid(65_534)  # root may read everything
            open_audio(path)
        except AudioError as error:
            os.write(write_end, str(error).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    os.waitpid(child, 0)
    assert os.read(read_end, 1000) == b"cannot be read: permission denied"
    os.close(read_end)


def test_a_name_that_is_not_text_is_opened(tmp_path: Path) -> None:
    for suffix, codec in ((b"wav", None), (b"m4a", "aac")):
        plain = tmp_path / f"x.{suffix.decode()}"
        if codec:
            write_av(plain, codec, tone(1), SR)
        else:
            sf.write(plain, tone(1), SR)
        odd = os.fsencode(tmp_path) + b"/caf\xe9." + suffix
        os.rename(plain, odd)  # noqa: PTH104
        assert len(decode(Path(os.fsdecode(odd)))[0]) >= SR


def test_channels_that_cancel_out_are_told(tmp_path: Path) -> None:
    sound = tone(12)[:, 0]
    other = np.random.default_rng(0).uniform(-0.1, 0.1, 12 * SR)
    path = tmp_path / "x.wav"
    for left, right, is_told in (
        (sound, -sound, True),
        (sound, 0.99 * -sound, True),
        (sound, 0.9 * -sound, False),
        (sound, other, False),
        (sound, 0 * sound, False),
        (0 * sound, 0 * sound, False),
    ):
        sf.write(path, np.stack([left, right], axis=1), SR, subtype="FLOAT")
        assert any("cancel out" in warning for warning in decode(path)[2]) == is_told
    sf.write(path, sound, SR)
    assert decode(path)[2] == []


def test_values_that_are_no_numbers_become_silence_with_a_warning(tmp_path: Path) -> None:
    samples = tone(25)
    samples[15 * SR + 7] = np.nan
    samples[20 * SR] = np.inf
    samples[21 * SR] = 1e30
    samples[22 * SR] = 3.0  # beyond full scale, but a float recorder's right
    path = tmp_path / "x.wav"
    sf.write(path, samples, SR, subtype="FLOAT")
    got, _, warnings = decode(path)
    assert np.isfinite(got).all()
    assert got[22 * SR] == 3.0
    assert warnings == [
        "3 samples were not numbers, or absurdly large, and were taken as silence, "
        "the first at 15.0 s"
    ]


def test_originals_are_left_as_they_were(tmp_path: Path) -> None:
    path = FORMATS["m4a"][0](tmp_path)
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    path.chmod(0o444)
    decode(path)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    assert list(tmp_path.iterdir()) == [path]


def test_info_can_be_sent_to_another_process(tmp_path: Path) -> None:
    _, info, _ = decode(FORMATS["wav"][0](tmp_path))
    assert pickle.loads(pickle.dumps(info)) == info


@pytest.mark.parametrize("target", [22_050, 32_000, 48_000, 44_100])
def test_resampling_in_blocks_is_resampling_in_one(target: int) -> None:
    signal = tone(2, channels=2)

    def resample(sizes: list[int]) -> NDArray[np.float32]:
        resampler = MonoResampler(SR, target)
        cuts = np.cumsum(sizes)
        parts = [resampler.process(block) for block in np.split(signal, cuts)]
        return np.concatenate([*parts, resampler.flush()])

    whole = resample([])
    assert len(whole) == pytest.approx(2 * target, abs=1)
    for sizes in ([1, 4409, 17_000], [44_100], [7] * 50):
        assert np.allclose(resample(sizes), whole, atol=1e-5)
    assert np.array_equal(resample([10_000]), resample([10_000]))
    if target == SR:
        assert np.array_equal(whole, mix_to_mono(signal))
    spectrum = np.abs(np.fft.rfft(whole[:target]))
    assert np.argmax(spectrum) == 440


def test_channels_are_averaged() -> None:
    rng = np.random.default_rng(0)
    for channels in (1, 2, 3, 6):
        block = rng.standard_normal((100, channels)).astype(np.float32)
        assert mix_to_mono(block) == pytest.approx(block.mean(axis=1), abs=1e-6)


def test_a_stretch_is_the_stretch_that_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "x.wav"
    ramp = np.linspace(-0.9, 0.9, 25 * SR, dtype=np.float32)[:, None]
    sf.write(path, ramp, SR, subtype="FLOAT")
    assert np.array_equal(read_mono(path, SR), ramp[:, 0])
    got = read_mono(path, SR, from_s=8.5, to_s=20.25)
    assert np.array_equal(got, ramp[round(8.5 * SR) : round(20.25 * SR), 0])
    assert np.array_equal(read_mono(path, SR, from_s=24), ramp[24 * SR :, 0])
    assert len(read_mono(path, SR, from_s=24, to_s=25.05)) == SR  # players round
    assert len(read_mono(path, 16_000, to_s=0.5)) == pytest.approx(8000, abs=1)
    assert len(read_mono(path, SR, from_s=1, to_s=21, max_s=20)) == 20 * SR


@pytest.mark.parametrize(
    ("from_s", "to_s", "reason"),
    [
        (2.0, 2.0, "is empty"),
        (3.0, 2.0, "is empty"),
        (0.5, 0.500001, "holds no sample"),
        (0.5, float("inf"), "ends at inf s"),
        (-1.0, None, "is empty"),
        (float("nan"), None, "is empty"),
        (6.0, None, "begins at 6 s, the file ends at 5.00 s"),
        (6.0, 7.0, "begins at 6 s, the file ends at 5.00 s"),
        (1.0, 7.0, "ends at 7 s, the file at 5.00 s: to go to its end, leave out"),
        (0.0, None, "longer than 4 s"),
    ],
)
def test_a_stretch_that_is_not_there_is_an_error(
    from_s: float, to_s: float | None, reason: str, tmp_path: Path
) -> None:
    path = tmp_path / "x.wav"
    sf.write(path, tone(5), SR)
    with pytest.raises(AudioError, match=reason):
        read_mono(path, SR, from_s=from_s, to_s=to_s, max_s=4 if to_s is None else 10)


def test_only_that_it_broke_off_is_told_as_why_a_file_ends_so_early(tmp_path: Path) -> None:
    whole = tmp_path / "reversed.wav"  # its channels cancel out, which is another warning
    sf.write(whole, tone(5) * np.float32([1, -1]), SR)
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    for path, reason in (
        (whole, r"file at 5\.00 s: to go to its end"),
        (cut, r"file at 2\.50 s \(the header promises 5\.0 s, the file holds 2\.5 s\): to go"),
    ):
        with pytest.raises(AudioError, match=reason):
            read_mono(path, SR, to_s=7.0)


def test_a_video_is_read_for_its_audio_and_a_picture_is_not_audio(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    with av.open(str(path), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio = container.add_stream("flac", rate=SR)
        audio.layout = "mono"
        audio.format = "s16"
        for _ in range(25):
            picture = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        pcm = np.round(tone(1).T * 32767).astype(np.int16)
        for start in range(0, SR, 4096):
            frame = av.AudioFrame.from_ndarray(pcm[:, start : start + 4096], "s16", "mono")
            frame.sample_rate, frame.pts = SR, start
            container.mux(audio.encode(frame))
        container.mux(video.encode(None))
        container.mux(audio.encode(None))
    samples, info, _ = decode(path)
    assert (info.format, info.codec, info.channels) == ("MATROSKA", "FLAC", 1)
    assert len(samples) == SR
    silent = tmp_path / "silent.mp4"
    with av.open(str(silent), "w") as container:
        video = container.add_stream("mpeg4", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        container.mux(video.encode(av.VideoFrame(64, 48, "yuv420p")))
        container.mux(video.encode(None))
    with pytest.raises(AudioError, match="FFmpeg: holds no audio stream"):
        open_audio(silent)


def test_real_recordings_of_every_kind_are_decoded_without_a_warning(real_audio: Path) -> None:
    for pattern in ("esc10/rain/*.ogg", "effects/a/*.ogg", "rooms/*.flac", "unlabelled/a*.opus"):
        for path in sorted(real_audio.glob(pattern))[:5]:
            samples, info, warnings = decode(path)
            assert warnings == [], path
            assert 0 < np.abs(samples).max() < 4, path
            reference, rate = sf.read(path, dtype="float32", always_2d=True)
            assert len(samples) / info.sample_rate == pytest.approx(len(reference) / rate), path
            if rate == info.sample_rate:
                assert np.abs(samples - reference).max() < 1e-5, path


def test_an_opus_file_that_libsndfile_calls_malformed_is_read_to_its_end(real_audio: Path) -> None:
    path = real_audio / "unlabelled" / "tuxemon__music__A_Night_Of_Dizzy_Spells.opus"
    samples, info, warnings = decode(path)  # libsndfile 1.2.2 stops at 40 s
    assert len(samples) == 60 * info.sample_rate
    assert warnings == []
