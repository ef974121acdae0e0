"""Make echoic-mini from nothing, in one command; see training/README.md."""

import argparse
from pathlib import Path

import torch

from training import candidates, data, distil, export, teacher, text

WORD_DIMS = 192
LIKENESS_DIMS = 192
# From nothing. echoic-mini/2 took 4,400 steps to version 1 and 9,450 more from there.
AUDIO_STEPS = 14_000
AUDIO_DECAY_STEPS = 9_000
AUDIO_SHORT_STEPS = 10_500
TEXT_STEPS = 2500
CANDIDATES = 9000
PACKAGE = Path(__file__).resolve().parent.parent / "indexer" / "encoders" / "echoic_mini"


def main() -> None:
    """Prepare, teach, train and export; what is already done is not done again."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audio", type=Path, required=True, help="folder of recordings")
    parser.add_argument("--teacher", type=Path, required=True, help="folder of the tagger")
    parser.add_argument("--text", type=Path, required=True, help="folder of the captions")
    parser.add_argument("--wordnet", type=Path, required=True, help="folder of data.noun, ...")
    parser.add_argument("--work", type=Path, default=Path("training/work"))
    parser.add_argument("--out", type=Path, default=PACKAGE)
    parser.add_argument("--steps", type=int, default=AUDIO_STEPS)
    parser.add_argument("--decay-steps", type=int, default=AUDIO_DECAY_STEPS)
    parser.add_argument("--short-steps", type=int, default=AUDIO_SHORT_STEPS)
    parser.add_argument(
        "--start-from", type=Path, help="an exported audio.onnx whose training is to go on"
    )
    parser.add_argument(
        "--threads", type=int, default=1, help="of the audio network; two more make examples"
    )
    options = parser.parse_args()
    torch.set_num_threads(options.threads)

    prepare_targets(options.audio, options.teacher, options.work)
    candidates.invent_sounds(work=options.work, teacher=options.teacher, count=CANDIDATES)
    if not (options.work / "text.npz").exists():
        text.teach(
            teacher=options.teacher, text=options.text, wordnet=options.wordnet, work=options.work
        )
        text.train(teacher=options.teacher, work=options.work, steps=TEXT_STEPS)
    checkpoint = distil.train(
        audio=options.audio,
        teacher=options.teacher,
        work=options.work,
        schedule=distil.Schedule(
            steps=options.steps,
            decay_steps=options.decay_steps,
            short_steps=options.short_steps,
        ),
        start_from=options.start_from,
    )
    summary = {
        "teachers": ["EfficientAT mn04_as (MIT)", "all-MiniLM-L6-v2 (Apache-2.0)"],
        "recordings": "see sources.csv",
        "recipe": "training/README.md",
    }
    options.out.mkdir(parents=True, exist_ok=True)
    data.write_sources(options.audio, options.work, options.out / "sources.csv")
    export.package(
        checkpoint=checkpoint,
        text=options.work / "text.npz",
        teacher=options.teacher,
        work=options.work,
        out=options.out,
        training=summary,
    )


def prepare_targets(audio: Path, tagger: Path, work: Path) -> None:
    """Decode the recordings, let the teacher hear them, and fit what is to be learnt."""
    data.prepare(audio, work)
    samples, clips = data.load(work)
    heard = work / "heard.npz"
    teacher.listen(samples, clips, teacher.Teacher(tagger), heard)
    if not (work / "targets.npz").exists():
        teacher.fit_targets(
            heard,
            teacher.clip_weights(clips, heard),
            word_dims=WORD_DIMS,
            likeness_dims=LIKENESS_DIMS,
            out=work / "targets.npz",
        )


if __name__ == "__main__":
    main()
