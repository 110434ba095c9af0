"""Where letters put the addressee's name without a label, and when that is not enough."""

from __future__ import annotations

import pytest

from hivekeep.domain.documents import Block, BlockKind, Box, Document
from hivekeep.domain.values import FieldValue, ValueStatus
from hivekeep.recipes import builtin_recipes
from hivekeep.swarm.verification import check

INVOICES = builtin_recipes()["invoices"].compile()
LEFT, RIGHT = 0.06, 0.55
SENDER = (0.19, 0.04, "Au bon moulin SARL - 12 chemin de l'olive - 84340 Malaucène - France")
WINDOW = ((RIGHT, 0.16, "Hôtel Saint Denis"), (RIGHT, 0.18, "Stéphanie Hoarau"),
          (RIGHT, 0.20, "42 rue du stade"), (RIGHT, 0.22, "97400 Saint Denis"))  # fmt: skip
DELIVERY = ((LEFT, 0.14, "Adresse de livraison"), (LEFT, 0.16, "Auberge du Lac"),
            (LEFT, 0.18, "3 rue du port"), (LEFT, 0.20, "74000 Annecy"))  # fmt: skip
Line = tuple[float, float, str]


def letter(*lines: Line) -> Document:
    """A page with these lines: left edge, upper edge and text of each."""
    blocks = tuple(
        Block(at, 1, text, BlockKind.PARAGRAPH, Box(x, y, x + 0.008 * len(text), y + 0.014))
        for at, (x, y, text) in enumerate(lines)
    )
    return Document("a.pdf", "application/pdf", "00" * 32, 1, 1, blocks)


def buyer(*lines: Line) -> FieldValue:
    found = check(INVOICES, letter(*lines), {}).get("buyer")
    assert isinstance(found, FieldValue)
    return found


def test_the_only_address_that_is_not_the_senders_is_the_addressee() -> None:
    found = buyer(SENDER, *WINDOW, *DELIVERY)
    assert (found.value, found.status) == ("Hôtel Saint Denis", ValueStatus.GROUNDED)
    (evidence,) = found.evidence
    assert evidence.quote == "Hôtel Saint Denis"


def test_a_window_may_be_printed_with_empty_lines() -> None:
    spaced = ((0.12, 0.20, "Theodor Est"), (0.12, 0.234, "Bahnstr. 42"),
              (0.12, 0.282, "88802 Spielkreis"))  # fmt: skip
    sender = (0.17, 0.185, "Bei Spiel GmbH ● Ecke 12 ● 12345 Stadthausen")
    own = ((0.76, 0.145, "Bei Spiel GmbH"), (0.76, 0.165, "Ecke 12"),
           (0.76, 0.182, "12345 Stadthausen"))  # fmt: skip
    assert buyer(sender, *own, *spaced).value == "Theodor Est"


@pytest.mark.parametrize(
    "lines",
    [
        (SENDER, *DELIVERY),
        (SENDER, *WINDOW, (LEFT, 0.16, "Auberge du Lac"), (LEFT, 0.18, "3 rue du port"),
         (LEFT, 0.20, "74000 Annecy")),
        WINDOW,
        tuple((x, y + 0.5, text) for x, y, text in WINDOW),
    ],
    ids=["another label", "two addresses", "no sender", "lower half"],
)  # fmt: skip
def test_without_one_clear_window_there_is_no_addressee(lines: tuple[Line, ...]) -> None:
    assert buyer(*lines).value is None


@pytest.mark.parametrize(
    ("word", "name"),
    [("Herrn", "Herrn Max Muster"), ("Firma", "Max Muster"), ("Madame", "Madame Max Muster")],
)
def test_a_salutation_over_an_address_greets_the_addressee(word: str, name: str) -> None:
    address = ((LEFT, 0.22, "Max Muster"), (LEFT, 0.24, "Musterstr. 11"),
               (LEFT, 0.26, "12346 Bad Muster"))  # fmt: skip
    assert buyer((LEFT, 0.20, word), *address).value == name
    assert buyer((LEFT, 0.20, word), (LEFT, 0.22, "Max Muster")).value is None
