"""What a comparison with the review does and does not show, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations

from spinelab.reporting.beside import Sheet
from spinelab.reporting.measures import TITLES, title
from spinelab.reporting.published import PublishedCell, PublishedTable
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
    """What the printed table says of two rows' difference, metric by metric, and what the same persons gave here.

    Where the review takes several rows from one source, only these are held against each other. A metric with more
    pairs than a reader takes in is left out.
    """
    found = [pair for metric in paper.metrics if metric in TITLES for pair in _pairs(paper, sheet, metric)]
    of_one_source = [pair for pair in found if pair[0].citation == pair[1].citation]
    sentences: list[str] = []
    for metric in paper.metrics:
        own = [_sentence(*pair) for pair in of_one_source or found if pair[0].metric == metric]
        sentences += own if len(sentences) + len(own) <= MANY else []
    return sentences


def _pairs(
    paper: PublishedTable, sheet: Sheet, metric: str
) -> Iterator[tuple[PublishedCell, PublishedCell, Comparison]]:
    """Cells of two rows that are both printed, and both measured on the same persons."""
    table = (sheet.tables or {}).get(metric)
    compared = table.comparisons.get(table.columns[-1], ()) if table else ()
    measured = {frozenset((pair.first, pair.second)): pair for pair in compared}
    cells = [cell for cell in paper.cells if cell.metric == metric and cell.scaled is not None]
    for first, second in combinations(cells, 2):
        if pair := measured.get(frozenset((first.row, second.row))):
            yield first, second, pair


def _sentence(first: PublishedCell, second: PublishedCell, pair: Comparison) -> str:
    ours = pair.difference if pair.first == second.row else -pair.difference
    printed = _printed((second.scaled or 0) - (first.scaled or 0))
    verdict = "which these persons tell" if pair.real else "which these persons cannot tell from none"
    rows = f"{title(first.metric)}, {second.row} − {first.row}"
    return f"{rows}: printed {printed}; measured {_told(ours)}, {verdict}."


def _printed(value: float) -> str:
    return ("+" if value >= 0 else "") + number(value)


def _told(ours: Difference) -> str:
    words = [signed(ours), interval(ours), f"over n={ours.n} persons"]
    return " ".join(word for word in words if word)
