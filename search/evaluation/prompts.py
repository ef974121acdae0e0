"""How a class is put into words: by its name, by descriptions that come with Echoic, by your own.

What a sound is like ("very fast loud hammering") may reach it where its name does not. Several
phrases of one class stand for it together.

References
----------
.. [1] S. Ghosh et al., "ReCLAP: Improving Zero Shot Audio Classification by Describing Sounds",
       ICASSP 2025.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path

from indexer.manifest import table_rows
from search.errors import QueryError

PLAIN = "plain"
DESCRIPTIVE = "descriptive"
_PACKAGED = "prompts.csv"
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Wording:
    """Phrases for classes.

    Attributes
    ----------
    name : str
        ``"plain"``, ``"descriptive"``, or the path of the file they were read from.
    phrases : tuple of tuple of str
        Those of each class, at least one, in the order of the classes.
    """

    name: str
    phrases: tuple[tuple[str, ...], ...]


def plain_names(labels: Sequence[str]) -> Wording:
    """Let each class be called by its name, with blanks for underscores."""
    return Wording(PLAIN, tuple((label.replace("_", " "),) for label in labels))


def wording(prompts: str, labels: Sequence[str]) -> Wording:
    """Put classes into words.

    Parameters
    ----------
    prompts : str
        ``"plain"``, ``"descriptive"``, or the path of a CSV file with the columns ``label`` and
        ``prompt``, in which a label may have several rows.
    labels : sequence of str

    Raises
    ------
    ManifestError
        If the file cannot be read as such a table.
    QueryError
        If a class has no phrase; the message names some of those.
    """
    if prompts == PLAIN:
        return plain_names(labels)
    if prompts == DESCRIPTIVE:
        with as_file(files("search.evaluation").joinpath(_PACKAGED)) as packaged:
            known = _read(packaged)
    else:
        known = _read(Path(prompts).expanduser())
    missing = [label for label in labels if _key(label) not in known]
    if missing:
        more = ", ..." if len(missing) > _NAMED else ""
        where = "Echoic has no description of" if prompts == DESCRIPTIVE else f"{prompts} lacks"
        raise QueryError(
            f"{where} {len(missing)} of the {len(labels)} classes "
            f"({', '.join(missing[:_NAMED])}{more}): write a CSV file with the columns label and "
            "prompt, and give it with --prompts FILE"
        )
    return Wording(prompts, tuple(known[_key(label)] for label in labels))


def _key(label: str) -> str:
    return " ".join(label.replace("_", " ").casefold().split())


def _read(path: Path) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for line, cells in table_rows(path, required="label"):
        prompt = cells.get("prompt", "")
        if not prompt:
            raise QueryError(f"{path}, line {line}: there is no text in a column 'prompt'")
        found.setdefault(_key(cells["label"]), []).append(prompt)
    return {label: tuple(phrases) for label, phrases in found.items()}
