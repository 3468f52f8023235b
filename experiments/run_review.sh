#!/usr/bin/env bash
# The review's own settings (Tables 1 and 2) on the phantom, in a width and at a pixel size (2 mm, 56 x 96) that two cores can train.
set -euo pipefail
out=${1:-runs/review}
spinelab train -m experiment=review trainer=cpu data.generate.persons=12 data.preprocessing.spacing_mm=[2,2] model=unet,unetpp,attention_unet model.base=8 paths.runs="$out"
spinelab train experiment=review trainer=cpu data.generate.persons=12 data.preprocessing.spacing_mm=[2,2] model=fcn model.width=0.125 paths.runs="$out"
spinelab compare "$out"
