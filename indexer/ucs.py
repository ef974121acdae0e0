"""File names after the Universal Category System (UCS).

``CatID(-UserCategory)_(VendorCategory-)FXName_CreatorID_SourceID(_UserData)``, as in
``DOORWood_Heavy Oak Slam_TN_DORY.wav``. The table in `ucs.csv` holds the CatIDs.

References
----------
T. Nielsen, J. Drury, K. St. Onge, universalcategorysystem.com. The table follows the public lists
of version 8.1, with AERODoor and AEROJet of 8.2.1 added. A CatID of a later version whose category
is known gives that category, and its own last part as the subcategory.
"""

import csv
import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files


@dataclass(frozen=True)
class UcsName:
    """What a UCS file name says; blocks that it lacks are empty."""

    catid: str
    category: str
    subcategory: str
    title: str
    creator: str = ""
    source: str = ""
    user_category: str = ""
    vendor_category: str = ""
    user_data: str = ""


@cache
def categories() -> dict[str, tuple[str, str]]:
    """Map every CatID of the table to its category and subcategory, in capitals as in UCS."""
    text = files("indexer").joinpath("ucs.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {row["catid"]: (row["category"], row["subcategory"]) for row in rows}


@cache
def _prefixes() -> dict[str, str]:
    """Map the capitals that CatIDs begin with, such as ``DOOR``, to their category."""
    return {
        match[1]: category
        for catid, (category, _) in categories().items()
        if (match := re.fullmatch(r"([A-Z]+)[A-Z][a-z]+", catid))
    }


def _look_up(catid: str, n_blocks: int) -> tuple[str, str] | None:
    if found := categories().get(catid):
        # RAIN, MIX, TEST and the like are also words: they need the whole form of a UCS name.
        return found if n_blocks >= (4 if catid.isupper() else 2) else None
    match = re.fullmatch(r"([A-Z]+)([A-Z][a-z]+)", catid)
    if match and n_blocks >= 4 and match[1] in _prefixes():
        return _prefixes()[match[1]], match[2].upper()
    return None


def parse_ucs(stem: str) -> UcsName | None:
    """Read a file name without its suffix; None if it is no UCS name.

    The CatID must be spelt exactly as in the list, so that ``my_cool_sound_final`` and
    ``Rain_on_roof_2`` are not mistaken for one.
    """
    blocks = [block.strip() for block in stem.split("_", 4)]
    catid, _, user_category = blocks[0].partition("-")
    found = _look_up(catid, len(blocks))
    if found is None or not blocks[1]:
        return None
    if catid.isupper() and not re.match(r"[A-Z0-9]", blocks[1]):
        return None  # MIX_final_v2_03: titles begin with a capital
    vendor, dash, _ = blocks[1].partition("-")
    blocks += [""] * (5 - len(blocks))
    return UcsName(
        catid=catid,
        category=found[0],
        subcategory=found[1],
        title=blocks[1],
        creator=blocks[2],
        source="" if blocks[3].upper() == "NONE" else blocks[3],
        user_category=user_category.strip(),
        vendor_category=vendor.strip() if dash else "",
        user_data=blocks[4],
    )
