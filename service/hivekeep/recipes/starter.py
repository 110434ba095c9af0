"""The recipe that ``hivekeep recipes new`` writes.

Responsible for a commented example that is valid as it stands, whatever it is called.
"""

from __future__ import annotations

import json
import re

_TEXT = """\
# A Hivekeep recipe: what to find in each document. docs/recipes.md explains every key.
# Check it with:  hivekeep recipes validate {name}.yaml
# Try it with:    hivekeep recipes test {name}.yaml DOCUMENT
name: {name}
title: {title}
version: "1"

# Told to the model before each document. Short and plain works best; each word costs time.
instructions: |
  You read delivery notes.

# One value each. Types: text, identifier, name, date, amount, number, integer, currency, boolean,
# choice, prose, rows. A value that is not in the document stays empty; it is never guessed.
fields:
  - name: number
    type: identifier
    title: Number
    description: number of the delivery note
    # Words that stand beside the value in your documents, in any language.
    aliases: [delivery note no, Lieferschein-Nr, bon de livraison, 送货单号]
    required: true

  - name: delivery_date
    type: date
    title: Delivered
    description: date of delivery
    aliases: [delivery date, Lieferdatum, date de livraison, 送货日期]

  - name: recipient
    type: name
    title: Recipient
    description: company or person who receives the goods
    aliases: [deliver to, ship to, Lieferadresse, livré à, 收货人]

  - name: items
    type: rows
    title: Items
    description: each item delivered
    max_rows: 40
    columns:
      - name: description
        description: what it is
      - name: quantity
        type: number
        description: how many
        aliases: [quantity, qty, Menge, quantité, 数量]

# What has to hold between values; what does not is marked for a person.
# checks:
#   sums:
#     - terms: [net, tax]
#       total: total
#   orders:
#     - earlier: issue_date
#       later: due_date

# Documents with known answers, beside this file, for 'hivekeep recipes test'.
# test:
#   - file: example.pdf
#     expect:
#       number: LS-2026-0042
#       delivery_date: 2026-03-01
#       items: 3
"""


def new_recipe_text(name: str, title: str) -> str:
    """A starter recipe; what a name may not contain is replaced."""
    safe = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:50].strip("-") or "my-recipe"
    shown = "".join(c if c.isprintable() else " " for c in title)
    shown = " ".join(shown.split())[:120].strip() or safe
    # A JSON string is a YAML string.
    return _TEXT.format(name=safe, title=json.dumps(shown, ensure_ascii=False))
