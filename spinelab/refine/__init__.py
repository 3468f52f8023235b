"""What is done to a trained network's output before it is scored and predicted.

A refiner is fitted on slices of the training or the validation persons (`Refiner.fit`) and then changes the network's
decision in a slice (`Refiner.refine`). `network.Refined` makes prediction and scoring take both for one network. What
is fitted is plain data and is kept as JSON.
"""
