#!/usr/bin/env bash
# Train the thorough and the fast model to the end: a schedule meant for nine minutes of one H100 or H200 with 16 cores.
#
#     benchmarks/gpu_training.sh pack pieces      # here: all that the other machine needs, in pieces of 60 MiB
#     cat pieces/part-* | tar x                   # there, in an empty folder, once all are there
#     benchmarks/gpu_training.sh                  # there: trains; after a stop the same command goes on
#     SEND=thorough benchmarks/gpu_training.sh    # the other model, where not all can be fetched at once
#
# The other machine needs Python with what pyproject.toml lists, and no network. What is used, and its default:
#
#     FACES     folder with pool-*.parquet and modern-*.parquet: faces, else ../shared/faces
#     CLIP      trunk of the thorough model, safetensors: made of checkpoints/fakeface-vit-b16-cnn, which holds it
#     RESNET    trunk of the fast model, safetensors: weights/*.safetensors, else ../shared/weights/*.safetensors
#     RUNS      run folders: runs/gpu
#     OUT       gets SEND-weights.tar.gz in pieces of 15 MiB, SEND.md (its report) and seconds.txt: out
#     SEND      fast or thorough, or both with a space between: fast
#     VIEWS     of each picture, for the thorough model: 4
#     EPOCHS    of 16,000 draws each, for the fast one: 12
#     WORKERS   processes that decode: one for each core
#     PYTHON    .venv/bin/python, else python3
#     TINY=1    a schedule of seconds for small pictures on a CPU, random trunks: to try this script
set -euo pipefail
cd "$(dirname "$0")/.."

first() { for name in "$@"; do if [ -e "$name" ]; then echo "$name"; return; fi; done; echo "$1"; }

FACES=${FACES:-$(first faces ../shared/faces)}
RESNET=${RESNET:-$(first weights/*.safetensors ../shared/weights/*.safetensors)}
RUNS=${RUNS:-runs/gpu} OUT=${OUT:-out} SEND=${SEND:-fast} VIEWS=${VIEWS:-4} EPOCHS=${EPOCHS:-12}
WORKERS=${WORKERS:-$(nproc)} PYTHON=${PYTHON:-$(first .venv/bin/python "$(command -v python3)")} TINY=${TINY:-}
CLIP=${CLIP:-$RUNS/clip.safetensors}
SHIPPED=checkpoints/fakeface-vit-b16-cnn
export PYTHONPATH=. HF_HUB_OFFLINE=1

if [ "${1:-}" = pack ]; then
    mkdir -p "$2"
    git archive --format=tar HEAD train.py fakeface configs benchmarks pyproject.toml "$SHIPPED" >"$2/all.tar"
    tar rf "$2/all.tar" --transform 's,^,faces/,' -C "$FACES" $(cd "$FACES" && echo pool-*.parquet modern-*.parquet)
    tar rf "$2/all.tar" --transform 's,^,weights/,' -C "$(dirname "$RESNET")" "$(basename "$RESNET")"
    split --bytes 60M --numeric-suffixes "$2/all.tar" "$2/part-"
    rm "$2/all.tar"
    ls -l "$2"
    exit
fi

mkdir -p "$RUNS" "$OUT"
step() {  # NAME RESULT COMMAND…: run it unless its result is there, and log how long it took
    local name=$1 result=$2 began=$SECONDS
    shift 2
    if [ -e "$result" ]; then return; fi
    "$@"
    echo "$name: $((SECONDS - began)) s" | tee -a "$RUNS/seconds.txt"
}
train() {  # RUN KEYS…: from the start, or on from where the run was stopped
    local run=$1 resume=()
    shift
    if [ -e "$run/run.json" ]; then resume=(--resume); fi
    "$PYTHON" train.py "$@" --output "$run" --data "$FACES/pool-*.parquet" "$FACES/modern-*.parquet" "${resume[@]}"
}

# The recipes are those of two cores; a GPU takes larger batches. The fast model's are four times as large, and its
# learning rates twice: docs/training.md. Its moving average goes over as many pictures as before.
thorough=(--frozen-views "$VIEWS" --batch-size 256 --workers "$WORKERS" --trunk-weights "$CLIP")
fast=(--epochs "$EPOCHS" --small-epochs $((EPOCHS * 3 / 5)) --samples-per-epoch 16000 --batch-size 128 --workers "$WORKERS"
    --learning-rate 2e-3 --trunk-learning-rate 6e-4 --ema 0.992 --trunk-weights "$RESNET")
if [ -n "$TINY" ]; then
    small=(--image-size 32 --batch-size 8 --workers 1 --threads 1 --mixed-precision no --trunk-weights none)
    thorough+=("${small[@]}" --frozen-views 2 --trunk-blocks 1 --epochs 1 --head-batch 32)
    fast+=("${small[@]}" --small-size 32 --epochs 2 --small-epochs 1 --samples-per-epoch 32 --trunk-stages 1)
else
    step "CLIP's weights" "$CLIP" "$PYTHON" benchmarks/trunk_weights.py "$SHIPPED" "$CLIP"
fi
step "thorough model" "$RUNS/thorough/everything/model/training.json" \
    train "$RUNS/thorough" configs/vit-b16-cnn.yaml "${thorough[@]}"
step "fast model" "$RUNS/fast/everything/model/training.json" \
    train "$RUNS/fast" configs/resnet50-cnn-taught.yaml --teacher "$RUNS/thorough" "${fast[@]}"

for name in $SEND; do
    folder=$(first "$RUNS/$name/everything/model" "$RUNS/$name/model")
    tar cz -C "$folder" . | split --bytes 15M --numeric-suffixes - "$OUT/$name-weights.tar.gz-"
    cp "$RUNS/$name/evaluation.md" "$OUT/$name.md"
done
cp "$RUNS/seconds.txt" "$OUT"
cat "$OUT/seconds.txt"
ls -l "$OUT"
