"""Scans in, batches out."""
