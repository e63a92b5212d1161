#!/usr/bin/env python3
"""Times lowrank with --device cuda against torch on the same GPU: truncated SVD, training and LoRA steps.

The SVD is that of a 16384 x 16384 Gaussian matrix at rank 128. torch.svd_lowrank runs with 16 columns more and the fewest
iterations that come to lowrank's error (within 1e-4 of it), both errors measured by torch in the matrix's own type; it is
timed by events on data that is on the GPU, after warm-up. lowrank's time is the `seconds` of its JSON, in a fresh process each
time: what a process does once (handles, first use of each kernel) and moving the matrix, where the command counts it, are in
it. Training is that of 784-1000-2000-10 with Adam; torch runs eagerly and by torch.compile (mode reduce-overhead, which
records CUDA graphs), lowrank with its losses read rarely. The floors are those of an H200: 6.9 ms for the products of a
randomized SVD with 16 columns more and two iterations, and for a step the traffic of W, m and v (LoRA: W, forward and
back) at 4.3 TB/s. The output is Markdown.

  python3 bench/peers/compare_gpu.py --lowrank build/tools/lowrank
  python3 bench/peers/compare_gpu.py --quick                                  small sizes: a test of this script
"""
import argparse
import os
import statistics
import sys
import tempfile

sys.dont_write_bytecode = True
import compare_training as training

RANK, MORE = 128, 16
FLOPS, BYTES = 67e12, 4.3e12  # flops and bytes a second of an H200
SAME_ERROR = 1e-4


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lowrank", metavar="PATH", help="the command (default: build/tools/lowrank, then PATH)")
    parser.add_argument("--only", choices=["svd", "train", "lora"], help="only one of the three")
    parser.add_argument("--batches", default="10,128,1024", metavar="N,N...", help="(default 10,128,1024)")
    parser.add_argument("--data", metavar="DIR", default="/usr/share/datasets/fashion-mnist",
                        help="the folder of the IDX files, packed (default: the installed Fashion-MNIST)")
    parser.add_argument("--repeats", type=int, default=5, metavar="R", help="rounds (default 5)")
    parser.add_argument("--quick", action="store_true", help="small sizes: a test of this script, no measurement")
    options = parser.parse_args()
    options.batches = [int(batch) for batch in options.batches.split(",")]
    return options


def gpu():
    """torch with a GPU, or the end with the reason."""
    try:
        import torch
    except ImportError:
        sys.exit("compare_gpu.py: torch is not installed: pip install torch")
    if not torch.cuda.is_available():
        sys.exit("compare_gpu.py: there is no GPU that torch can use; nothing was measured")
    return torch


def milliseconds(torch, call, repeats):
    call()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return times


def table(titles):
    print("\n| " + " | ".join(titles) + " |\n|" + "---|" * len(titles), flush=True)


def row(*cells):
    print("| " + " | ".join(str(cell) for cell in cells) + " |", flush=True)


def svd(torch, options, folder, dtype):
    size = 1024 if options.quick else 16384
    path, factors = os.path.join(folder, "A.npy"), os.path.join(folder, "factors.npz")
    import numpy as np

    training.output_of([options.lowrank, "gen", "--rows", size, "--cols", size, "--dtype", dtype, "--json", "-o", path])
    A = torch.from_numpy(np.load(path)).cuda()
    norm = torch.linalg.norm(A)

    def error(U, s, Vt):
        return float(torch.linalg.norm(A - (U * s) @ Vt) / norm)

    ours = []
    for _ in range(1 if options.quick else options.repeats):
        found = training.output_of([options.lowrank, "svd", path, "--rank", RANK, "--device", "cuda", "--memory", "64GiB",
                                    "--json", "-o", factors])
        ours.append(1e3 * found["seconds"])
    with np.load(factors) as file:
        our_error = error(*(torch.from_numpy(file[name]).cuda() for name in ("U", "S", "Vt")))

    def by_torch(iterations):
        U, s, V = torch.svd_lowrank(A, q=RANK + MORE, niter=iterations)
        return U[:, :RANK], s[:RANK], V[:, :RANK].T

    iterations = next((n for n in range(33) if error(*by_torch(n)) <= our_error * (1 + SAME_ERROR)), None)
    shown = 2 if iterations is None else iterations
    theirs = milliseconds(torch, lambda: by_torch(shown), 1 if options.quick else options.repeats)
    # Two iterations are six products with the panel of 144 columns.
    floor = 1e3 * 6 * 2 * size * size * (RANK + MORE) / FLOPS
    name = f"{size}² {dtype}, rank {RANK}"
    row(name, f"lowrank ({found['method']}, {found['passes']} passes)", training.spread(ours), f"{our_error:.6f}",
        f"{floor:.3g}", "")
    note = "" if iterations is not None else ", does not come to lowrank's error"
    row(name, f"torch.svd_lowrank, niter {shown}{note}", training.spread(theirs), f"{error(*by_torch(shown)):.6f}",
        f"{floor:.3g}", f"{statistics.median(theirs) / statistics.median(ours):.2f}")


def torch_steps(torch, options, what, batch, compiled):
    X, y = (each.cuda() for each in training.pictures(options.data))
    net = training.network(what).cuda()
    optimizer = torch.optim.Adam([p for p in net.parameters() if p.requires_grad], lr=1e-3, capturable=True, fused=True)
    loss_of = torch.nn.CrossEntropyLoss()

    def loss_and_gradient(inputs, labels):
        loss = loss_of(net(inputs), labels)
        loss.backward()
        return loss

    call = torch.compile(loss_and_gradient, mode="reduce-overhead") if compiled else loss_and_gradient
    order = torch.randint(len(y), (64, batch), device="cuda")

    def steps():
        for chosen in order:
            optimizer.zero_grad(set_to_none=not compiled)
            call(X[chosen], y[chosen])
            optimizer.step()

    steps()
    return [1e3 * each / len(order) for each in milliseconds(torch, steps, 1 if options.quick else options.repeats)]


def microseconds_floor(kind):
    weights = [inputs * outputs for inputs, outputs in training.LAYERS]
    traffic = 24 * training.PARAMETERS if kind == "train" else 4 * (sum(weights) + sum(weights[1:]))
    return 1e6 * traffic / BYTES


def compare_steps(torch, options, kind, batch, folder):
    steps = 100 if options.quick else min(2000, 60000 // batch - 1)
    base = os.path.join(folder, "base.safetensors")
    common = ["--data", options.data, "--batch", batch, "--device", "cuda", "--json"]
    words = {"train": ["train", *common, "--limit", steps, "--checkpoint-every", 10 ** 9, "-o", os.path.join(folder, "t.safetensors")],
             "lora": ["lora", "train", base, *common, "--steps", steps, "-o", os.path.join(folder, "adapter")]}[kind]
    rounds = 1 if options.quick else options.repeats
    ours = [1e6 / training.output_of([options.lowrank, *words])["steps_per_second"] for _ in range(rounds)]
    floor = microseconds_floor(kind)
    row(kind, batch, f"lowrank, {steps} steps", training.spread(ours), f"{floor:.3g}", "")
    for what in training.KINDS[kind]:
        for compiled in (False, True):
            name = what + (", compiled" if compiled else ", eager")
            try:
                theirs = torch_steps(torch, options, what, batch, compiled)
            except Exception as reason:  # torch.compile needs a C compiler and Triton, which may be missing
                row(kind, batch, f"{name}: failed ({type(reason).__name__})", "", f"{floor:.3g}", "")
                continue
            row(kind, batch, name, training.spread(theirs), f"{floor:.3g}",
                f"{statistics.median(theirs) / statistics.median(ours):.2f}")


def main():
    options = arguments()
    torch = gpu()
    options.lowrank = training.find_lowrank(options.lowrank)
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}; floors are those of an H200")
    with tempfile.TemporaryDirectory(prefix="lowrank-bench-") as folder:
        if options.only in (None, "svd"):
            table(["matrix", "by", "ms (least - greatest)", "relative error", "floor, ms", "lowrank faster"])
            for dtype in ("f32", "f64"):
                svd(torch, options, folder, dtype)
        kinds = [options.only] if options.only else ["train", "lora"]
        if options.only == "svd":
            return 0
        training.output_of([options.lowrank, "train", "--data", options.data, "--limit", 1, "--json",
                            "-o", os.path.join(folder, "base.safetensors")])
        table(["what", "batch", "by", "µs a step (least - greatest)", "floor, µs", "lowrank faster"])
        for kind in kinds:
            for batch in options.batches:
                compare_steps(torch, options, kind, batch, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
