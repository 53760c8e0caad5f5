"""Names for the columns of a table that nobody knows, such as expressions and features can be made of."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from bottega.proposals.roles import Roles

_OURS = "request_time id time score candidate"
_SQL = "and or not case when then else end null true false in is between like select from where order group by table"
_TAKEN = {*_OURS.split(), *_SQL.split(), "to", "all", "distinct", "cast", "as"}


def plain_names(columns: Sequence[str], roles: Roles) -> dict[str, str]:
    """Give each column a name of lower-case letters, digits and _ that no other has: theirs → ours.

    >>> plain_names(["TX_Amount", "Größe (cm)", "用户", "a b", "a-b"], Roles(person="用户"))
    {'TX_Amount': 'tx_amount', 'Größe (cm)': 'groesse_cm', '用户': 'person', 'a b': 'a_b', 'a-b': 'a_b_2'}
    """
    by_role = {name: role for role in ("time", "person", "item", "label") if (name := getattr(roles, role)) is not None}
    made: dict[str, str] = {}
    for place, theirs in enumerate(columns):
        parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", theirs)
        for letter, two in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ß", "ss")):
            parted = parted.replace(letter, two).replace(letter.upper(), two)
        ascii_only = unicodedata.normalize("NFKD", parted).encode("ascii", "ignore").decode().lower()
        ours = re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")
        if not ours or not ours[0].isalpha():
            ours = by_role.get(theirs, f"column_{place + 1}" if not ours else f"column_{ours}")
        if ours in _TAKEN and by_role.get(theirs) != "time":
            ours = f"{ours}_value"
        number, wanted = 2, ours
        while ours in made.values():
            ours, number = f"{wanted}_{number}", number + 1
        made[theirs] = ours
    return made
