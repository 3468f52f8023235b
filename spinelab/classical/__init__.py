"""The review's techniques without a network (its section 4.1 and Table 4), behind one interface.

A technique is fitted on slices of the training persons (`Technique.fit`), on which its few parameters are tuned too,
and then gives class scores for a slice (`Technique.scores`). `network.AsNetwork` makes prediction and scoring take it
for a network. What is fitted is plain data and is kept as JSON.
"""
