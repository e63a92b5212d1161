"""What all workloads share: the installed peers, runs in turns, errors, tables."""
import contextlib
import importlib
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

PAUSE = 0.1  # lets the idle threads of the last contender's pool stop spinning


def optional(name):
    try:
        return importlib.import_module(name)
    except ImportError:
        return None


class Contender:
    """`run` does the work and returns (result, seconds or None); None: the time around the call counts."""

    def __init__(self, name, run):
        self.name, self.run = name, run
        self.seconds, self.wall, self.result = [], [], None
        self.error = None

    def sample(self):
        time.sleep(PAUSE)
        start = time.perf_counter()
        self.result, own = self.run()
        wall = time.perf_counter() - start
        self.wall.append(wall)
        self.seconds.append(wall if own is None else own)

    def as_dict(self):
        return {"name": self.name, "seconds": self.seconds, "wall": self.wall, "error": self.error}


class Session:
    def __init__(self, options):
        self.options, self.quick, self.threads = options, options.quick, options.threads
        self.lowrank = find_lowrank(options.lowrank)
        self.linalg = optional("scipy.sparse.linalg")
        self.scipy = optional("scipy")
        self.sklearn = optional("sklearn")
        self.extmath = optional("sklearn.utils.extmath")
        self.torch = optional("torch")
        self.records = []
        self.children = []  # programs that wait for their next turn
        threadpoolctl = optional("threadpoolctl")
        if threadpoolctl:
            threadpoolctl.threadpool_limits(self.threads)
        if self.torch:
            self.torch.set_num_threads(self.threads)

    def versions(self):
        command = subprocess.run([self.lowrank, "--version"], capture_output=True, text=True, check=True)
        found = {"lowrank": command.stdout.strip(), "python": platform.python_version(), "numpy": np.__version__}
        for name, module in (("scipy", self.scipy), ("scikit-learn", self.sklearn), ("torch", self.torch)):
            found[name] = module.__version__ if module else None
        return found

    def print_machine(self):
        cpu = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")),
                   platform.processor())
        print(f"{cpu}, {os.cpu_count()} cores, {self.threads} threads for every contender")
        for name, version in self.versions().items():
            print(f"- {name} {version}" if version else f"- {name}: not installed, skipped")
        self.machine = {"cpu": cpu, "cores": os.cpu_count(), "threads": self.threads, "versions": self.versions()}

    # Matrices and the command

    @contextlib.contextmanager
    def folder(self):
        with tempfile.TemporaryDirectory(prefix="lowrank-bench-") as path:
            try:
                yield path
            finally:
                for child in self.children:
                    child.stdin.close()
                    child.wait()
                self.children.clear()

    def generate(self, folder, *flags):
        """A .npy by `lowrank gen`: its path and its entries."""
        path = os.path.join(folder, "A.npy")
        self.command("gen", *flags, "-o", path)
        return path, np.load(path)

    def command(self, *arguments):
        words = [self.lowrank, *map(str, arguments), "--json", "--threads", str(self.threads)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)}: exit status {done.returncode}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def lowrank_svd(self, path, rank, *flags):
        def run():
            found = self.command("svd", path, "--rank", rank, *flags)
            return found, found["seconds"]

        return Contender("lowrank, the command", run)

    def lowrank_library(self, path, rank=None):
        """The library called again and again by one process, as the peers are; None where that program is not built."""
        program = os.path.join(os.path.dirname(os.path.dirname(self.lowrank)), "bench", "lowrank-in-process")
        if not os.access(program, os.X_OK):
            print(f"- {program} is not built: the peers are compared with the command")
            return None
        words = [program, path, "--threads", str(self.threads), *(["--rank", str(rank)] if rank else [])]
        process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.children.append(process)

        def run():
            process.stdin.write("once\n")
            process.stdin.flush()
            line = process.stdout.readline()
            if not line:
                sys.exit(f"{' '.join(words)} ended")
            found = json.loads(line)
            return found, found["seconds"]

        run()  # the peers have had their first call, too
        return Contender("lowrank, in one process", run)

    def lowrank_factors(self, folder, path, rank, *flags):
        """The factors of the same run once more, written to a file: for the error."""
        out = os.path.join(folder, "factors.npz")
        self.command("svd", path, "--rank", rank, *flags, "-o", out)
        with np.load(out) as factors:
            return factors["U"], factors["S"], factors["Vt"]

    # Peers

    def numpy_svd(self, A, rank):
        def run():
            U, s, Vt = np.linalg.svd(A, full_matrices=False)
            return (U[:, :rank].copy(), s[:rank], Vt[:rank].copy()), None

        return Contender("numpy.linalg.svd", run)

    def scipy_svds(self, A, rank):
        start = start_vector(A)
        return Contender("scipy svds", lambda: (self.linalg.svds(A, k=rank, v0=start), None))

    def sklearn_svd(self, A, rank, n_iter):
        def run():
            return self.extmath.randomized_svd(A, n_components=rank, n_iter=n_iter, random_state=0), None

        return Contender(f"scikit-learn randomized_svd(n_iter={n_iter})", run)

    def sklearn_truncated(self, A, rank):
        TruncatedSVD = importlib.import_module("sklearn.decomposition").TruncatedSVD

        def run():
            model = TruncatedSVD(n_components=rank, random_state=0)
            scores = model.fit_transform(A)
            s = model.singular_values_
            return (scores / s, s, model.components_), None

        return Contender("scikit-learn TruncatedSVD()", run)

    def torch_svd(self, A, rank, niter):
        tensor = self.torch.from_numpy(A)

        def run():
            self.torch.manual_seed(0)
            U, s, V = self.torch.svd_lowrank(tensor, q=rank + 10, niter=niter)
            return (U[:, :rank].numpy(), s[:rank].numpy(), V[:, :rank].numpy().T), None

        return Contender(f"torch.svd_lowrank(q={rank + 10}, niter={niter})", run)

    # Measuring

    def race(self, contenders, budget=None):
        budget = budget or self.options.budget
        for _ in range(max(1, self.options.repeats)):
            for each in contenders:
                if sum(each.wall) < budget:
                    each.sample()

    def record(self, workload, **fields):
        self.records.append({"workload": workload, **fields})

    def write_json(self, path):
        report = {"machine": self.machine, "quick": self.quick, "results": self.records}
        temporary = path + ".part"
        with open(temporary, "w") as out:
            json.dump(report, out, indent=1)
        os.replace(temporary, path)


def find_lowrank(given):
    source = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    for path in (given,) if given else (os.path.join(source, "build", "tools", "lowrank"), shutil.which("lowrank")):
        if path and os.access(path, os.X_OK):
            return os.path.abspath(path)
    sys.exit(f"compare.py: no command lowrank at {given or 'build/tools/lowrank or in PATH'}: give --lowrank PATH")


def start_vector(A):
    """ARPACK's, the same at every run."""
    return np.random.default_rng(0).standard_normal(min(A.shape)).astype(A.dtype)


def dense_error(A, factors):
    """||A - U·diag(s)·Vt||_F / ||A||_F, formed block by block in float64."""
    U, s, Vt = factors
    left, right = np.asarray(U, np.float64) * np.asarray(s, np.float64), np.asarray(Vt, np.float64)
    residual = norm = 0.0
    for first in range(0, A.shape[0], 512):
        block = A[first:first + 512].astype(np.float64)
        norm += np.sum(block * block)
        block -= left[first:first + 512] @ right
        residual += np.sum(block * block)
    return float(np.sqrt(residual / norm))


def sparse_error(A, factors):
    """The same from ||A||^2 - 2<A, X> + ||X||^2, right to about 1e-8."""
    U, s, Vt = (np.asarray(part, np.float64) for part in factors)
    A = A.astype(np.float64)
    norm = np.sum(A.data * A.data)
    inner = np.sum((U * s) * (A @ Vt.T))
    own = np.sum((U.T @ U) * np.outer(s, s) * (Vt @ Vt.T))
    return float(np.sqrt(max(0.0, norm - 2 * inner + own) / norm))


def median_text(samples):
    low, high = min(samples), max(samples)
    text = f"{statistics.median(samples):.3g} s"
    return text if len(samples) == 1 else f"{text} ({low:.3g} - {high:.3g}, {len(samples)} runs)"


def ratios(peer, lowrank):
    """How many times faster lowrank is: by the medians, and the median over the rounds that both ran."""
    medians = statistics.median(peer) / statistics.median(lowrank)
    return medians, statistics.median(p / l for p, l in zip(peer, lowrank))


def ratio_texts(peer, lowrank):
    return [f"{value:.2f}" for value in ratios(peer, lowrank)]


def print_table(rows):
    widths = [max(3, *(len(row[j]) for row in rows)) for j in range(len(rows[0]))]
    print()
    for i, row in enumerate(rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths)) + " |")
        if i == 0:
            print("|" + "|".join("-" * (width + 2) for width in widths) + "|")
    sys.stdout.flush()
