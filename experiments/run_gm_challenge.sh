#!/usr/bin/env bash
# Leave one person out: 4 persons, 6 scans, 4 sites. One person validates, two train.
set -euo pipefail
out=${1:-runs/gm_challenge}
spinelab train -m data=gm_challenge protocol=leave_one_person_out protocol.fold=0,1,2,3 model=unet encoder=resnet18 \
  trainer=cpu trainer.max_epochs=60 loader.batch_size=4 paths.runs="$out"
for run in "$out"/gm_challenge/*-f*; do spinelab evaluate run="$run" split=test predictions=true; done
spinelab compare "$out"
