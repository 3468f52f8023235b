"""Public data sets: what there is, downloading it safely, unpacking it safely."""
