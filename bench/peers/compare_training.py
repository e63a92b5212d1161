#!/usr/bin/env python3
"""Times training by torch on the CPU against `lowrank train` and `lowrank lora train`, in turns, in steps per second.

Every run is a process of its own, A B C A B C, on the same pictures with the same number of threads and steps. The
network is 784-1000-2000-10 with Adam. torch trains it whole, and by LoRA of rank 1 on all layers in two ways: as a
parametrization of the weight (W + B·A is formed in each step), and as a side branch (B·(A·x) is added, as PEFT does).
torch's batches are cut from a tensor of normalized numbers that is in memory beforehand, and its first steps are not
counted; lowrank's steps are all counted, and each makes numbers of its bytes. Its adapters are trained on a network that
was trained for an epoch, where ReLU has more zeros (which cost torch what other numbers do).

The floor is what the step must read, write and multiply at the rates that this machine reaches in the same rounds, each
over half a second of sweeps, as the steps are over all of theirs. lowrank leaves out what zeros make superfluous, and
lets updates of weights that no sample uses wait and makes several at once: so it can do with less than the floor, the
more so the longer the network was trained. The output is Markdown.

  python3 bench/peers/compare_training.py                                     batches of 10 and 1024
  python3 bench/peers/compare_training.py --batches 1,10,100,1024,4096 --json training.json
  python3 bench/peers/compare_training.py --only train --batches 10 --steps 6000     an epoch
  python3 bench/peers/compare_training.py --quick                             few steps: a test of this script
"""
import argparse
import gzip
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

sys.dont_write_bytecode = True

SIZES = (784, 1000, 2000, 10)
LAYERS = list(zip(SIZES[:-1], SIZES[1:]))
PARAMETERS = sum(i * o + o for i, o in LAYERS)
KINDS = {"train": ["torch"], "lora": ["torch, parametrization", "torch, side branch"]}
WARM_UP = 3


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lowrank", metavar="PATH", help="the command (default: build/tools/lowrank, then PATH)")
    parser.add_argument("--only", choices=list(KINDS), help="only the training of the network, or only LoRA")
    parser.add_argument("--batches", default="10,1024", metavar="N,N...", help="(default 10,1024)")
    parser.add_argument("--data", metavar="DIR", default="/usr/share/datasets/fashion-mnist",
                        help="the folder of the IDX files, packed (default: the installed Fashion-MNIST)")
    parser.add_argument("--steps", type=int, metavar="N",
                        help="steps of a run (default: up to 500, fewer for large batches)")
    parser.add_argument("--base-steps", type=int, default=6000, metavar="N",
                        help="steps that lowrank's network is trained before its adapters (default 6000, an epoch)")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="rounds (default 5)")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), metavar="N",
                        help="threads of every contender (default: all cores)")
    parser.add_argument("--quick", action="store_true", help="few steps: a test of this script, no measurement")
    parser.add_argument("--json", metavar="FILE", help="write all figures to this file")
    parser.add_argument("--worker", nargs=3, metavar=("WHAT", "BATCH", "STEPS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if min(options.base_steps, 1 if options.steps is None else options.steps) < 1:
        parser.error("steps from 1 on are wanted")
    options.batches = [int(batch) for batch in options.batches.split(",")]
    return options


# What runs in a process of its own


def pictures(folder):
    import torch

    def read(name, header):
        with gzip.open(os.path.join(folder, name)) as file:
            return torch.frombuffer(bytearray(file.read()[header:]), dtype=torch.uint8)

    images = read("train-images-idx3-ubyte.gz", 16).reshape(-1, SIZES[0])
    return (images.float() / 255 - 0.1307) / 0.3081, read("train-labels-idx1-ubyte.gz", 8).long()


def network(what):
    import torch
    from torch import nn

    class Parametrization(nn.Module):
        def __init__(self, layer, rank=1, alpha=1):
            super().__init__()
            self.lora_A = nn.Parameter(torch.randn(rank, layer.in_features))
            self.lora_B = nn.Parameter(torch.zeros(layer.out_features, rank))
            self.scale = alpha / rank

        def forward(self, W):
            return W + torch.matmul(self.lora_B, self.lora_A).view(W.shape) * self.scale

    class SideBranch(nn.Module):
        def __init__(self, layer, rank=1, alpha=1):
            super().__init__()
            self.base = layer
            self.lora_A = nn.Linear(layer.in_features, rank, bias=False)
            self.lora_B = nn.Linear(rank, layer.out_features, bias=False)
            nn.init.zeros_(self.lora_B.weight)
            self.scale = alpha / rank

        def forward(self, x):
            return self.base(x) + self.lora_B(self.lora_A(x)) * self.scale

    layers = [nn.Linear(inputs, outputs) for inputs, outputs in LAYERS]
    if what != "torch":
        for layer in layers:
            layer.requires_grad_(False)
    if what == "torch, parametrization":
        for layer in layers:
            nn.utils.parametrize.register_parametrization(layer, "weight", Parametrization(layer))
    elif what == "torch, side branch":
        layers = [SideBranch(layer) for layer in layers]
    return nn.Sequential(layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2])


def work(what, batch, steps, options):
    import torch
    from torch import nn

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    if what == "rates":
        return print(json.dumps(rates()))
    X, y = pictures(options.data)
    net = network(what)
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3)
    loss_of = nn.CrossEntropyLoss()
    order = torch.randint(len(y), (steps + WARM_UP, batch))
    for i in range(steps + WARM_UP):
        if i == WARM_UP:
            start = time.perf_counter()
        optimizer.zero_grad()
        loss = loss_of(net(X[order[i]]), y[order[i]])
        loss.backward()
        optimizer.step()
        loss.item()  # as the article's loop does
    print(json.dumps({"steps_per_second": steps / (time.perf_counter() - start), "loss": loss.item()}))


def rates():
    """Bytes and flops a second over half a second of sweeps over arrays as large as training's, and of a product, by
    torch or NumPy, whichever is faster here (on some processors torch's library does without their widest vectors)."""
    import numpy as np
    import torch

    def rate(call, amount):
        seconds = []
        call()
        while sum(seconds) < 0.5 or len(seconds) < 20:
            start = time.perf_counter()
            call()
            seconds.append(time.perf_counter() - start)
        return amount * len(seconds) / sum(seconds)

    state, weights = torch.zeros(3 * PARAMETERS), torch.zeros(PARAMETERS)
    square = torch.randn(2048, 2048)
    same = square.numpy()
    return {"update": rate(lambda: state.add_(1), 8 * state.numel()),
            "read": rate(lambda: weights.sum(), 4 * weights.numel()),
            "flops": max(rate(lambda: square @ square, 2 * 2048 ** 3),
                         rate(lambda: np.matmul(same, same), 2 * 2048 ** 3))}


# What runs the others


def find_lowrank(given):
    from shutil import which

    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for path in (given,) if given else (os.path.join(source, "build", "tools", "lowrank"), which("lowrank")):
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    place = given or "build/tools/lowrank or in PATH"
    sys.exit(f"compare_training.py: no command lowrank at {place}: give --lowrank PATH")


def output_of(words):
    done = subprocess.run([str(word) for word in words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, words))}: exit status {done.returncode}: {done.stderr.strip()}")
    return json.loads(done.stdout)


def worker(options, what, batch=1, steps=1):
    return output_of([sys.executable, os.path.abspath(__file__), "--worker", what, batch, steps, "--threads",
                      options.threads, "--data", options.data])


def lowrank(options, kind, folder, batch, steps):
    base = os.path.join(folder, "base.safetensors")
    common = ["--data", options.data, "--threads", options.threads, "--batch", batch, "--json"]
    if kind == "train":
        return output_of([options.lowrank, "train", *common, "--limit", steps, "--checkpoint-every", 10 ** 9,
                          "-o", os.path.join(folder, "trained.safetensors")])
    return output_of([options.lowrank, "lora", "train", base, *common, "--steps", steps,
                      "-o", os.path.join(folder, "adapter")])


def floor(kind, batch, rate):
    """Steps a second at most, and what limits them at which rate. In training W, m and v are read and written once, and
    there are three products a layer, less one: nothing goes back beyond the first. LoRA reads W forward and, above the
    first layer, back."""
    weights = [inputs * outputs for inputs, outputs in LAYERS]
    above = sum(weights[1:])
    if kind == "train":
        memory, sweeps, products = 24 * PARAMETERS, "update", 2 * sum(weights) + above
    else:
        memory, sweeps, products = 4 * (sum(weights) + above), "read", sum(weights) + above
    in_memory, in_flops = memory / rate[sweeps], 2 * batch * products / rate["flops"]
    if in_memory > in_flops:
        return 1 / in_memory, f"memory, {rate[sweeps] / 1e9:.0f} GB/s"
    return 1 / in_flops, f"flops, {rate['flops'] / 1e9:.0f} GF/s"


def spread(values):
    return f"{statistics.median(values):.4g} ({min(values):.4g} - {max(values):.4g})"


def compare(options, kind, batch, folder):
    # By default few enough that no epoch ends, so that all batches are whole.
    steps = 5 if options.quick else options.steps or max(10, min(500, 20000 // (batch + 30), 60000 // batch - 1))
    contenders = ["lowrank", *KINDS[kind]]
    speeds, rates_seen = {name: [] for name in contenders}, []
    for _ in range(1 if options.quick else options.repeats):
        rates_seen.append(worker(options, "rates"))
        for name in contenders:
            ours = name == "lowrank"
            found = lowrank(options, kind, folder, batch, steps) if ours else worker(options, name, batch, steps)
            speeds[name].append(found["steps_per_second"])
    rate = {what: statistics.median(seen[what] for seen in rates_seen) for what in rates_seen[0]}
    most, limit = floor(kind, batch, rate)
    rows = []
    for name in contenders:
        median = statistics.median(speeds[name])
        ratios = ["", ""]
        if name != "lowrank":
            pairs = [ours / theirs for ours, theirs in zip(speeds["lowrank"], speeds[name])]
            ratios = [f"{statistics.median(speeds['lowrank']) / median:.2f}", f"{statistics.median(pairs):.2f}"]
        rows.append([kind, batch, name, steps, spread(speeds[name]), f"{most:.4g} ({limit})",
                     f"{100 * median / most:.0f} %", *ratios])
    record = {"kind": kind, "batch": batch, "steps": steps, "rates": rates_seen, "floor": most, "limit": limit,
              "steps_per_second": speeds}
    return rows, record


def main():
    options = arguments()
    # Read by the thread pools when their libraries are loaded.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    if options.worker:
        what, batch, steps = options.worker
        return work(what, int(batch), int(steps), options)
    options.lowrank = find_lowrank(options.lowrank)
    try:
        import torch
    except ImportError:
        sys.exit("compare_training.py: torch is not installed: pip install torch")
    print(f"torch {torch.__version__}, {options.threads} threads for every contender, "
          f"OMP_WAIT_POLICY={os.environ.get('OMP_WAIT_POLICY', 'not set')}\n")
    titles = ["what", "batch", "by", "steps", "steps/s (least - greatest)", "floor, steps/s", "of floor",
              "lowrank faster, medians", "pairwise"]
    print("| " + " | ".join(titles) + " |\n|" + "---|" * len(titles), flush=True)
    records = []
    with tempfile.TemporaryDirectory(prefix="lowrank-bench-") as folder:
        output_of([options.lowrank, "train", "--data", options.data, "--limit",
                   1 if options.quick else options.base_steps, "--json",
                   "-o", os.path.join(folder, "base.safetensors")])
        for kind in [options.only] if options.only else KINDS:
            for batch in options.batches:
                rows, record = compare(options, kind, batch, folder)
                records.append(record)
                for row in rows:
                    print("| " + " | ".join(map(str, row)) + " |", flush=True)
    if options.json:
        temporary = options.json + ".part"
        with open(temporary, "w") as out:
            json.dump({"torch": torch.__version__, "threads": options.threads, "results": records}, out, indent=1)
        os.replace(temporary, options.json)


if __name__ == "__main__":
    sys.exit(main())
