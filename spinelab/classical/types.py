"""Array types that the techniques share."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Grey = NDArray[np.float32]
"""(H, W) grey values, prepared: between 0 and 1."""
Labels = NDArray[np.uint8]
"""(H, W) class indices, 0 is background."""
Regions = NDArray[np.int64]
"""(H, W) numbers of regions or levels, from 0."""
Scores = NDArray[np.float64]
"""(K, H, W) class scores that sum to 1 at every pixel, background first."""
Vectors = NDArray[np.float64]
"""(n, features)."""
State = dict[str, Any]
"""What was learnt, as JSON knows it: dictionaries, lists, numbers and strings."""
