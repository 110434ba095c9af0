"""What the head of a till receipt says of its issuer, and when that is not enough."""

from __future__ import annotations

import pytest

from hivekeep.domain.documents import Block, BlockKind, Box, Document
from hivekeep.domain.values import FieldValue, ValueStatus
from hivekeep.recipes import builtin_recipes
from hivekeep.swarm.verification import Context, check, is_doubtful, open_fields
from tests.swarm.scripted import document

RECEIPTS = builtin_recipes()["receipts"].compile()
COMPANY = next(spec for spec in RECEIPTS.fields if spec.name == "company")


def receipt(*lines: str, gaps: tuple[int, ...] = ()) -> Document:
    """A recognised picture with these lines; ``gaps``: those that stand well below the last.

    A line "text@0.7" was recognised with that certainty.
    """
    blocks = []
    top = 0.05
    for at, line in enumerate(lines):
        text, _, own = line.partition("@")
        top += 0.03 * (4 if at in gaps else 1)
        box = Box(0.2, top, 0.8, top + 0.025)
        sure = float(own) if own else 0.995
        blocks.append(Block(at, 1, text, BlockKind.PARAGRAPH, box, confidence=sure))
    return Document("a.jpg", "image/jpeg", "00" * 32, 1, 1, tuple(blocks))


def company(*lines: str, **more: tuple[int, ...]) -> FieldValue:
    found = check(RECEIPTS, receipt(*lines, **more), {}).get("company")
    assert isinstance(found, FieldValue)
    return found


@pytest.mark.parametrize(
    ("lines", "name"),
    [
        (("Café Morgen GmbH", "Hafenstr. 4", "20457 Hamburg", "Summe 4,20"), "Café Morgen GmbH"),
        (("TAMAN JAYA SDN BHD (123456-X)", "NO. 4, JALAN TUN"), "TAMAN JAYA SDN BHD"),
        (("GREEN LEAF TRADING", "SDN. BHD.", "Tel: 03-1234567"), "GREEN LEAF TRADING SDN. BHD."),
        (("PAPER, INK &", "PENCIL", "12 Market Street", "TOTAL 3.00"), "PAPER, INK & PENCIL"),
        (("x tohas@0.6", "Corner Books", "VAT no. 123456789"), "Corner Books"),
        (("31804005", "Corner Books", "(0012345-K)"), "Corner Books"),
        (("OLD TOWN RESTAURANT", "GST NO: 000123456789"), "OLD TOWN RESTAURANT"),
    ],
)  # fmt: skip
def test_the_name_over_address_or_registration_is_the_issuer(
    lines: tuple[str, ...], name: str
) -> None:
    found = company(*lines)
    assert (found.value, found.status) == (name, ValueStatus.GROUNDED)
    assert found.evidence


@pytest.mark.parametrize(
    "lines",
    [
        ("Your order is ready", "Sunny Corner", "12 Market Street"),
        ("CITY MILK", "R&C VENTURE SDN BHD (1191015-W)", "LOT-18A-2"),
        ("Tel: 03-1234567", "Thank you", "Come again"),
        ("& SONS BAKERY", "(001610235-P)"),
    ],
)
def test_of_several_possible_names_none_is_chosen(lines: tuple[str, ...]) -> None:
    assert company(*lines).value is None


def test_a_brand_well_above_the_companys_own_line_is_no_part_of_its_name() -> None:
    found = company("RSK", "SYL ROAST SDN. BHD.", "75, JALAN SS 22/19", gaps=(1,))
    assert found.value == "SYL ROAST SDN. BHD."


def test_letters_that_were_hardly_recognised_are_for_a_person_and_not_for_the_model() -> None:
    page = receipt("HAI-0 RAYA TRADING@0.93", "TEL: 03-62636977")
    context = Context(RECEIPTS, page)
    result = check(RECEIPTS, page, {}, context=context)
    found = result.get("company")
    assert isinstance(found, FieldValue)
    assert found.status is ValueStatus.NEEDS_REVIEW
    assert "93%" in found.reason
    assert "company" not in open_fields(context, result)
    assert not is_doubtful(context, COMPANY, found)


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("Taman Jaya Sdn Bhd\nTotal 4.00", None),
        ("Taman Jaya Sdn. BHD 44\nTotal BHD 4.000", "BHD"),
        ("Taman Jaya SDN BHD\nTotal RM 4.00", "MYR"),
    ],
)
def test_the_form_of_a_malaysian_company_is_not_a_currency(text: str, currency: str | None) -> None:
    assert Context(RECEIPTS, document("a.txt", text)).currency == currency


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("Taman Jaya Sdn Bhd\nDate: 04/03/2018", "2018-03-04"),
        ("Total incl. VAT 4.00\nDate: 04/03/2018", "2018-03-04"),
        ("Date: 04/03/2018", None),
        ("20180428/191204\nTotal 4.00", "2018-04-28"),
        ("Item HD03-04-06\nDate: 19-09-17", "2017-09-19"),
    ],
)
def test_the_country_decides_between_day_and_month(text: str, day: str | None) -> None:
    found = check(RECEIPTS, document("a.txt", text), {}).get("date")
    assert isinstance(found, FieldValue)
    assert found.value == day


def test_of_two_totals_that_differ_by_a_rounding_the_later_one_is_paid() -> None:
    text = "Grand Total: 87.08\nRounding Adjustment: 0.02\nNet Total: 87.10"
    found = check(RECEIPTS, document("a.txt", text), {}).get("total")
    assert isinstance(found, FieldValue)
    assert found.value == "87.10"


@pytest.mark.parametrize("said", ["SDN. BHD.", "BEST RESTAURANT"])
def test_a_part_of_a_name_is_doubted(said: str) -> None:
    page = document("a.txt", "R\n& BEST RESTAURANT\nGREEN LEAF\nSDN. BHD.\nTotal 4.00")
    found = check(RECEIPTS, page, {"company": said}).get("company")
    assert isinstance(found, FieldValue)
    assert found.status is ValueStatus.NEEDS_REVIEW


def total(text: str, said: str) -> FieldValue:
    found = check(RECEIPTS, document("a.txt", text), {"total": said}).get("total")
    assert isinstance(found, FieldValue)
    return found


def test_what_was_handed_over_is_not_the_total() -> None:
    paid = total("Coffee 3.20\nTotal includes GST at 0% and everything: 3.20\nCash: 5.20\n"
                 "Change: 2.00", "5.20")  # fmt: skip
    assert (paid.value, paid.status) == ("3.20", ValueStatus.GROUNDED)
    unclear = total("Coffee 3.20\nTea 2.90\nCash: 5.20", "5.20")
    assert unclear.status is ValueStatus.NEEDS_REVIEW
    assert "Paid by" in unclear.reason


def named(page: Document, said: str) -> FieldValue:
    found = check(RECEIPTS, page, {"company": said}).get("company")
    assert isinstance(found, FieldValue)
    return found


def test_one_of_several_names_in_the_head_is_doubted_but_for_the_lowest() -> None:
    page = receipt("sunny", "CT281 - Sunny Shell", "Ottogo Enterprise", "002570632-X")
    assert named(page, "sunny").status is ValueStatus.NEEDS_REVIEW
    assert named(page, "Ottogo Enterprise").status is ValueStatus.GROUNDED


@pytest.mark.parametrize("name", ["99 FAST MARTS/B", "BAKERY PINTARSDN BHD"])
def test_a_name_whose_legal_form_is_run_together_with_it_is_doubted(name: str) -> None:
    assert named(receipt(name, "NO. 4, JALAN TUN"), name).status is ValueStatus.NEEDS_REVIEW
    assert named(receipt("MART S/B", "NO. 4, JALAN TUN"), "MART S/B").status is ValueStatus.GROUNDED
