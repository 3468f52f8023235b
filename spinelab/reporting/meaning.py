"""What a comparison with the review does and does not show, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import combinations

from spinelab.reporting.beside import Sheet
from spinelab.reporting.measures import TITLES, title
from spinelab.reporting.published import PublishedTable
from spinelab.reporting.statistics import DISTINGUISHABLE_FROM, TRUSTED_FROM, Comparison, Difference
from spinelab.reporting.verdicts import MANY
from spinelab.reporting.words import interval, number, signed


def meaning(paper: PublishedTable, sheets: Sequence[Sheet], cost: str) -> str:
    """One paragraph: what the measured columns say, and what nobody may conclude from them."""
    grades = Counter(cell.trust for cell in paper.cells)
    told = ", ".join(f"{count} {grade}" for grade, count in grades.items())
    measured = [sheet for sheet in sheets if sheet.persons]
    sentences = [
        "The measured columns show how these rows do under one protocol, on one split of each data set, for the "
        "budget named above. They are neither a confirmation nor a refutation of the printed ones: the review's data "
        "are not here, so that a value near the printed one is no success and one far from it no failure.",
        f"Of the {len(paper.cells)} printed cells, by the grades explained above: {told}.",
        paper.caveat,
        f"Cost and purpose of this budget: {cost}",
    ]
    if measured:
        fewest = min(sheet.persons for sheet in measured)
        sentences += [_few(fewest)] if fewest < TRUSTED_FROM else []
        if any("phantom" in sheet.data for sheet in measured):
            sentences.append("The phantom is synthetic, and easier or harder than patients in ways that are not known.")
    else:
        sentences.append("Nothing has been measured yet.")
    return " ".join(sentences)


def _few(persons: int) -> str:
    called = (
        f", and below {DISTINGUISHABLE_FROM} no difference is called real" if persons < DISTINGUISHABLE_FROM else ""
    )
    return f"With {persons} persons, as on the smallest data set here, intervals are too narrow{called}."


def differences(paper: PublishedTable, sheet: Sheet) -> list[str]:
    """What the printed table says of two rows' difference in its first metric, and what the same persons gave here."""
    ratios = [metric for metric in paper.metrics if metric in TITLES]
    table = (sheet.tables or {}).get(ratios[0]) if ratios else None
    if table is None:
        return []
    found = {frozenset((pair.first, pair.second)): pair for pair in table.comparisons.get(table.columns[-1], ())}
    sentences = []
    for first, second in combinations(paper.rows, 2):
        cells = paper.cell(first, table.metric), paper.cell(second, table.metric)
        pair = found.get(frozenset((first, second)))
        if pair and cells[0] and cells[1] and cells[0].scaled is not None and cells[1].scaled is not None:
            printed = cells[1].scaled - cells[0].scaled
            sentences.append(_sentence(title(table.metric), second, first, printed, pair))
    return sentences if len(sentences) <= MANY else []


def _sentence(metric: str, second: str, first: str, printed: float, pair: Comparison) -> str:
    ours = pair.difference if pair.first == second else -pair.difference
    verdict = "which these persons tell" if pair.real else "which these persons cannot tell from none"
    return f"{metric}, {second} − {first}: printed {_printed(printed)}; measured {_told(ours)}, {verdict}."


def _printed(value: float) -> str:
    return ("+" if value >= 0 else "") + number(value)


def _told(ours: Difference) -> str:
    words = [signed(ours), interval(ours), f"over n={ours.n} persons"]
    return " ".join(word for word in words if word)
