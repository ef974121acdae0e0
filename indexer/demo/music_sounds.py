"""The demo sounds of instruments."""

from functools import partial

from indexer.demo import music
from indexer.demo.sound import Sound

MUSIC = (
    Sound("music/drum-loop.wav", "Drum loop",
          "Kick, snare and hi-hat in four-four, 112 beats a minute.",
          "drums", "music;percussion;loop;drum kit", 9, music.drum_loop),
    Sound("music/drum-loop-slow.flac", "Slow drum loop",
          "Kick, snare and hi-hat in four-four, 78 beats a minute.",
          "drums", "music;percussion;loop;drum kit", 10, partial(music.drum_loop, bpm=78.0)),
    Sound("music/snare-roll.ogg", "Snare drum roll",
          "A roll on a snare drum that swells to a last stroke.",
          "snare drum", "music;percussion;drum roll", 4, music.snare_roll),
    Sound("music/bass-drum.wav", "Bass drum", "A big bass drum, struck slowly.",
          "bass drum", "music;percussion;drum", 5, music.bass_drum),
    Sound("music/hi-hat.mp3", "Hi-hat", "Eighths on a hi-hat.",
          "hi-hat", "music;percussion;cymbal", 4, music.hi_hat),
    Sound("music/guitar-picking.flac", "Guitar", "Broken chords on a steel-string guitar.",
          "guitar", "music;strings;plucked;acoustic", 8, music.guitar),
    Sound("music/piano.wav", "Piano", "A small tune on a piano.",
          "piano", "music;keyboard", 7, music.piano, sr=48_000, bits=24),
    Sound("music/organ.ogg", "Church organ", "Four chords on a church organ.",
          "organ", "music;keyboard;pipes;church", 8, music.organ, sr=32_000),
    Sound("music/flute.flac", "Flute", "A phrase on a flute.",
          "flute", "music;wind instrument;woodwind", 5, music.flute),
    Sound("music/violin.wav", "Violin", "A phrase on a violin.",
          "violin", "music;strings;bowed", 6, music.violin),
    Sound("music/synth-arpeggio.flac", "Synthesiser arpeggio",
          "An arpeggio while the filter opens and closes.",
          "synthesizer", "music;electronic;loop", 15, music.arpeggio),
    Sound("music/music-box.wav", "Music box", "A music box plays a tune.",
          "music box", "music;chime;glockenspiel", 6, music.music_box),
)  # fmt: skip
