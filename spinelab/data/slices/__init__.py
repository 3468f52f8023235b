"""Prepared slices: cache, data set, sampler, augmentation."""
