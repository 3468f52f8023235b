"""Losses: called as `loss(logits (B, K, H, W), target (B, H, W)) -> scalar`, K classes including background."""
