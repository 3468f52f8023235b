"""Made-up patients: lumbar spines with known anatomy and lesions, scanned by three made-up hospitals."""

from spinelab.phantom.tissues import LABELS

__all__ = ["LABELS"]
