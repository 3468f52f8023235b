"""spinelab: which segmentation architecture is best on your spine MRI."""

__version__ = "0.1.0"
