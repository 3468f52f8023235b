#!/usr/bin/env bash
# Four architectures on one encoder from scratch, one split by person (22 / 5 / 4), the same budget of epochs.
set -euo pipefail
out=${1:-runs/spider}
spinelab train -m data=spider_t2space encoder=resnet18 model=unet,unetpp,fcn,attention_unet trainer=cpu \
  trainer.max_epochs=16 loader.batch_size=4 paths.runs="$out"
spinelab compare "$out"
