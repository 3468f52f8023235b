"""The table of cases in Weights & Biases; apart from the logger, so that sending it loads no PyTorch."""

from __future__ import annotations

import pandas as pd
import wandb


def cases_table(cases: pd.DataFrame) -> wandb.Table:
    """The table of cases as W&B shows it: what is not defined is empty there."""
    return wandb.Table(dataframe=cases.astype(object).where(cases.notna(), None))
