"""What is trained, and how a trained network is applied."""
