"""Many runs from one command: what they are, who runs them, how far they are.

The classes here are Hydra sweepers; Hydra's launchers (basic, joblib, submitit, ray) run the jobs.
"""

from spinelab.sweeps.grid import Grid
from spinelab.sweeps.search import Search
from spinelab.sweeps.study import Study

SWEEPERS = (Grid, Search, Study)

__all__ = ["SWEEPERS", "Grid", "Search", "Study"]
