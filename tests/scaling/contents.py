"""What stands in a catalogue, in a form in which two can be compared."""

from itertools import pairwise

from sqlalchemy import select

from db import consistency
from db.catalogue import Catalogue
from db.schema import EmbeddingRow, EncoderRow, FingerprintRow, FingerprintSchemeRow
from indexer.fingerprint import DEFAULT_FINGERPRINTER as FINGERPRINTER
from indexer.fingerprint import load_fingerprinter

ENCODER = "echoic-mini/2"

SCHEMES = {
    FINGERPRINTER: (
        load_fingerprinter(FINGERPRINTER).keys,
        load_fingerprinter(FINGERPRINTER).key_bits,
    )
}

Contents = dict[tuple[str, str], tuple[str, bytes, bytes]]


def contents(location: str) -> Contents:
    """Return hash, vectors and landmarks of each file, by collection and path."""
    with Catalogue.open(location) as catalogue:
        found: Contents = {}
        for collection in catalogue.collections():
            for path, file in catalogue.known_files(collection.id).items():
                marks = catalogue.landmarks(file.recording_id, FINGERPRINTER)
                found[collection.name, path] = (
                    file.content_hash,
                    catalogue.vectors(file.recording_id, ENCODER).tobytes(),
                    marks.frames.tobytes() + marks.frequencies.tobytes(),
                )
        return found


def assert_every_recording_stands_once(location: str, n_recordings: int) -> None:
    """Fail if anything stands twice, lacks something, or has a number that another has."""
    with Catalogue.open(location) as catalogue:
        assert list(consistency.check(catalogue, schemes=SCHEMES)) == []
        assert len(catalogue.columns().ids) == n_recordings
        assert len(catalogue.recordings_with_vectors(ENCODER)) == n_recordings
        assert len(catalogue.recordings_with_fingerprint(FINGERPRINTER)) == n_recordings
        with catalogue.session() as session:
            segments = session.execute(
                select(EmbeddingRow.first_segment, EmbeddingRow.n_segments).order_by(
                    EmbeddingRow.first_segment
                )
            ).all()
            end = session.scalars(select(EncoderRow.next_segment)).one()
            frames = session.execute(
                select(FingerprintRow.first_frame, FingerprintRow.n_frames).order_by(
                    FingerprintRow.first_frame
                )
            ).all()
            end_frame = session.scalars(select(FingerprintSchemeRow.next_frame)).one()
    # Dense: each range begins where the one before it ends.
    firsts = [first for first, _ in segments]
    assert firsts == [0, *(first + count for first, count in segments)][:-1]
    assert end == sum(count for _, count in segments)
    assert all(one.first_frame + one.n_frames < two.first_frame for one, two in pairwise(frames))
    assert end_frame > frames[-1].first_frame + frames[-1].n_frames
