"""The statistics of a comparison; they know persons and rows, not files, and take every row's scores as numbers."""

from spinelab.reporting.statistics.bootstrap import RESAMPLES, bootstrap_interval, intervals, resampled_means
from spinelab.reporting.statistics.paired import (
    ALPHA,
    DISTINGUISHABLE_FROM,
    TRUSTED_FROM,
    Comparison,
    Difference,
    compare_pairs,
    holm,
    rank_biserial,
    signed_rank_p,
)
from spinelab.reporting.statistics.persons import (
    MEAN,
    STATES,
    Scores,
    Summary,
    person_values,
    score_persons,
    summarise,
    summary_of,
)
from spinelab.reporting.statistics.power import persons_needed
from spinelab.reporting.statistics.ranks import Rank, Ranking, rank_rows
from spinelab.reporting.statistics.variance import Spread, seed_limit, spread

__all__ = [
    "ALPHA",
    "DISTINGUISHABLE_FROM",
    "MEAN",
    "RESAMPLES",
    "STATES",
    "TRUSTED_FROM",
    "Comparison",
    "Difference",
    "Rank",
    "Ranking",
    "Scores",
    "Spread",
    "Summary",
    "bootstrap_interval",
    "compare_pairs",
    "holm",
    "intervals",
    "person_values",
    "persons_needed",
    "rank_biserial",
    "rank_rows",
    "resampled_means",
    "score_persons",
    "seed_limit",
    "signed_rank_p",
    "spread",
    "summarise",
    "summary_of",
]
