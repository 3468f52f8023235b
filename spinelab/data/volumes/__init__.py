"""Scans and masks: files, geometry, grey values."""
