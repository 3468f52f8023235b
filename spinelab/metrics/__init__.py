"""Scores of segmentations: plain functions of counts first, states that survive batches and processes second."""
