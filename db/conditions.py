"""What can be demanded of a recording: conditions on what is known of it, as values.

`db.filters` turns them into SQL; `search.query` has them in its queries.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Text:
    """A text that a field has to hold.

    Attributes
    ----------
    text : str
        Upper and lower case mean the same. How it is compared (whole words, the whole field, the
        beginning) is the field's affair.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """Bounds that a number or a date has to keep.

    Attributes
    ----------
    low, high : float or str or None
        Numbers in the field's unit, or ISO dates, whole or in part; None: no bound.
    includes_low, includes_high : bool
        Whether the bound itself is inside.
    """

    low: float | str | None = None
    high: float | str | None = None
    includes_low: bool = True
    includes_high: bool = True


@dataclass(frozen=True, slots=True)
class Condition:
    """A demand on one field of a recording.

    Attributes
    ----------
    field : str
        One of `db.filters.FIELDS`.
    values : tuple of Text or Range
        Any of them is enough.
    negated : bool
        The recordings that do *not* meet it are wanted, those of which nothing is known included.
    """

    field: str
    values: tuple[Text | Range, ...]
    negated: bool = False
