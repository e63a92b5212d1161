"""The workloads: what is computed, by whom, and the table of it. NumPy is loaded by session.py, after the thread
counts stand."""
import math
import os


SAME_ERROR = 1e-4  # relative: errors that differ by less are the same


def above(error, optimum, eps):
    if optimum < 100 * eps:
        return "rounding" if error < 1000 * eps else f"{error:.1e}, above rounding"
    return f"{100 * max(0.0, error / optimum - 1):.3f} %"


def ours(session, command, path, rank=None):
    """The contenders that are lowrank: the library in one process, which is what the peers are compared with, and the
    command; only that where the library's program is not built."""
    library = session.lowrank_library(path, rank)
    return ([library] if library else []) + [command]


def svd_table(contenders, own, optimum, eps):
    """The first `own` contenders are lowrank."""
    from session import median_text, print_table, ratio_texts

    lowrank, command = contenders[0], contenders[own - 1]
    rows = [["", "error", "above the best", "time (least - greatest)", "lowrank faster, medians", "pairwise",
             "lowrank's error no worse"]]
    for i, each in enumerate(contenders):
        compared = ["", "", ""]
        if i >= own:
            no_worse = lowrank.error <= each.error * (1 + SAME_ERROR) + 100 * eps
            compared = [*ratio_texts(each.seconds, lowrank.seconds), "yes" if no_worse else "no"]
        rows.append([each.name, f"{each.error:.6e}", above(each.error, optimum, eps), median_text(each.seconds),
                     *compared])
        if each is command:
            rows.append(["whole command", *rows[-1][1:3], median_text(command.wall), "", "", ""])
    print_table(rows)


def with_equal_error(make, customary, error_of, goal):
    """A peer at its customary number of iterations, and at the fewest that come to lowrank's error: speed is to be
    compared at equal error."""
    contenders = [make(customary)]
    equal, why = reaching(make, error_of, goal)
    if equal is None:
        print(f"- {contenders[0].name.split('(')[0]} does not come to lowrank's error {goal:.6e}: {why}")
    elif equal.name != contenders[0].name:
        contenders.append(equal)
    return contenders


def dense(session, name, rows, cols, dtype, rank):
    """Truncated SVD of 0.97^i (200 terms) plus noise 1e-3: peers at their customary two iterations, and at equal error."""
    import numpy as np
    from session import dense_error

    if session.quick:
        rows, cols, rank = rows // 8, cols // 8, max(5, rank // 8)
    terms = min(200, rows, cols)
    print(f"\n### {name}: {rows} x {cols} {dtype}, rank {rank} of 0.97^i ({terms} terms) plus noise 1e-3")
    with session.folder() as folder:
        path, A = session.generate(folder, "--rows", rows, "--cols", cols, "--rank", terms, "--spectrum",
                                   f"exp:{-math.log10(0.97)}", "--noise", 1e-3, "--dtype", dtype)
        contenders = ours(session, session.lowrank_svd(path, rank), path, rank)
        own, error = len(contenders), dense_error(A, session.lowrank_factors(folder, path, rank))
        for each in contenders:
            each.error = error

        def error_of(factors):
            return dense_error(A, factors)

        goal = contenders[0].error * (1 + SAME_ERROR)
        if session.extmath:
            contenders += with_equal_error(lambda q: session.sklearn_svd(A, rank, q), 2, error_of, goal)
        if session.torch:
            contenders += with_equal_error(lambda q: session.torch_svd(A, rank, q), 2, error_of, goal)
        if session.linalg:
            contenders.append(session.scipy_svds(A, rank))
        if not session.options.without_exact:
            contenders.append(session.numpy_svd(A, rank))
        session.race(contenders)
        for each in contenders[own:]:
            each.error = dense_error(A, each.result)
        # SciPy's and NumPy's are converged: the best there is.
        best = min(each.error for each in contenders)
        svd_table(contenders, own, best, np.finfo(A.dtype).eps)
        session.record(name, rows=rows, cols=cols, dtype=dtype, rank=rank, best=best,
                       reported=contenders[own - 1].result, contenders=[each.as_dict() for each in contenders])


FAMILIES = {
    "poly0.5": ("poly:0.5", 0), "poly1": ("poly:1", 0), "poly2": ("poly:2", 0), "exp0.01": ("exp:0.01", 0),
    "exp0.1": ("exp:0.1", 0), "exp0.5": ("exp:0.5", 0), "noise1e-4": ("step:20,0", 1e-4),
    "noise1e-2": ("step:20,0", 1e-2), "noise1e-1": ("step:20,0", 1e-1), "stairs": ("stairs:20,0.251188643150958", 0),
    "step": ("step:20,1e-10", 0), "flat": ("flat", 0),
}


def spectrum(spec, count):
    import numpy as np

    kind, _, text = spec.partition(":")
    numbers = [float(number) for number in text.split(",")] if text else []
    i = np.arange(count, dtype=np.float64)
    if kind == "poly":
        return (i + 1) ** -numbers[0]
    if kind == "exp":
        return 10 ** (-numbers[0] * i)
    if kind == "stairs":
        return numbers[1] ** (i // numbers[0])
    return np.where(i < numbers[0], 1.0, numbers[1]) if kind == "step" else np.ones(count)


def best_error(session, A, spec, noise, rank):
    """The relative error of the best approximation: from the spectrum, with noise from converged singular values."""
    import numpy as np
    from session import start_vector

    if noise == 0:
        sigma = spectrum(spec, min(A.shape))
        return float(np.sqrt(np.sum(sigma[rank:] ** 2) / np.sum(sigma ** 2)))
    norm2 = np.sum(A.astype(np.float64) ** 2)
    if session.linalg:
        A = A.astype(np.float64)
        leading = session.linalg.svds(A, k=rank, v0=start_vector(A), return_singular_vectors=False)
    else:
        leading = np.linalg.svd(A, compute_uv=False)[:rank]
    return float(np.sqrt(max(0.0, norm2 - np.sum(leading ** 2)) / norm2))


def reaching(make, error_of, goal):
    """The peer with the fewest iterations whose error meets the goal; or None, and why."""
    least = math.inf
    for iterations in (0, 1, 2, 3, 4, 6, 8, 12, 16, 24):
        peer = make(iterations)
        try:
            error = error_of(peer.run()[0])
        except Exception as failure:  # torch's and SciPy's own kinds: the peer is out, and the reason is shown
            return None, f"failed: {failure}"
        least = min(least, error)
        if error <= goal:
            return peer, ""
    return None, f"least error {least:.3e}"


def default_quality(session, name, dtype):
    """Default quality (within 1 % of the best) over all families, against the fastest peer setting that reaches it."""
    import statistics

    import numpy as np
    from session import dense_error, median_text, print_table, ratio_texts

    n, rank = (512, 10) if session.quick else (4096, 20)
    print(f"\n### {name}: {n} x {n} {dtype}, rank {rank}, within 1 % of the best error")
    rows = [["family", "best error", "lowrank error", "above", "lowrank, in one process", "the command",
             "fastest peer to reach it",
             "its error", "its time", "lowrank faster, medians", "pairwise"]]
    notes = []
    for family, (spec, noise) in FAMILIES.items():
        with session.folder() as folder:
            path, A = session.generate(folder, "--rows", n, "--cols", n, "--spectrum", spec, "--noise", noise,
                                       "--dtype", dtype)
            eps = np.finfo(A.dtype).eps
            best = best_error(session, A, spec, noise, rank)
            goal = 1.01 * max(best, 100 * eps)
            mine = ours(session, session.lowrank_svd(path, rank), path, rank)
            lowrank, command = mine[0], mine[-1]
            peers = []
            makers = {"scikit-learn": session.extmath and (lambda q: session.sklearn_svd(A, rank, q)),
                      "torch": session.torch and (lambda q: session.torch_svd(A, rank, q)),
                      "scipy svds": session.linalg and (lambda q: session.scipy_svds(A, rank))}
            for label, make in makers.items():
                if not make:
                    continue
                peer, why = reaching(make, lambda factors: dense_error(A, factors), goal)
                if peer:
                    peers.append(peer)
                else:
                    notes.append(f"{family}: {label} did not reach {goal:.3e} ({why})")
            session.race([*mine, *peers], budget=min(6, session.options.budget))
            lowrank.error = dense_error(A, session.lowrank_factors(folder, path, rank))
            for each in peers:
                each.error = dense_error(A, each.result)
        row = [family, f"{best:.4e}", f"{lowrank.error:.4e}", above(lowrank.error, best, eps),
               median_text(lowrank.seconds) if len(mine) > 1 else "not built", median_text(command.seconds)]
        if peers:
            fastest = min(peers, key=lambda each: statistics.median(each.seconds))
            row += [fastest.name, f"{fastest.error:.4e}", median_text(fastest.seconds),
                    *ratio_texts(fastest.seconds, lowrank.seconds)]
        rows.append(row + [""] * (len(rows[0]) - len(row)))
        session.record(name, family=family, rows=n, cols=n, dtype=dtype, rank=rank, best=best,
                       reported=command.result, contenders=[each.as_dict() for each in [*mine, *peers]])
    print_table(rows)
    for note in notes:
        print(f"- {note}")


def numerical_rank(session, name, flags, true_rank):
    """Numerical rank against numpy.linalg.matrix_rank."""
    import numpy as np
    from session import Contender, median_text, print_table, ratio_texts

    n = 500 if session.quick else 4000
    expected = true_rank(n)
    print(f"\n### {name}: {n} x {n} f64 of rank {expected}")
    with session.folder() as folder:
        path, A = session.generate(folder, "--rows", n, "--cols", n, "--dtype", "f64", *flags(n))

        def by_command():
            found = session.command("rank", path)
            return found, found["seconds"]

        mine = ours(session, Contender("lowrank, the command", by_command), path)
        lowrank, command = mine[0], mine[-1]
        numpy = Contender("numpy.linalg.matrix_rank", lambda: (int(np.linalg.matrix_rank(A)), None))
        session.race([*mine, numpy])
    found = command.result
    how = f"{'certified' if found['certified'] else 'not certified'}, {found['method']}"

    def verdict(rank):
        return f"{rank}, right" if rank == expected else f"{rank}, WRONG"

    print_table([["", "rank", "how", "time (least - greatest)", "lowrank faster, medians", "pairwise"],
                 *([each.name, verdict(each.result["rank"]), how, median_text(each.seconds), "", ""] for each in mine),
                 ["whole command", verdict(found["rank"]), how, median_text(command.wall), "", ""],
                 [numpy.name, verdict(numpy.result), "SVD", median_text(numpy.seconds),
                  *ratio_texts(numpy.seconds, lowrank.seconds)]])
    session.record(name, n=n, expected=expected, reported=found, numpy_rank=numpy.result,
                   contenders=[each.as_dict() for each in [*mine, numpy]])


def sparse(session, name):
    """Truncated SVD of a sparse matrix, 200,000 x 50,000 with 10^7 entries, rank 50, f64."""
    import numpy as np
    from session import optional, sparse_error

    matrices = optional("scipy.sparse")
    rows, cols, entries, rank = (4000, 1000, 100_000, 10) if session.quick else (200_000, 50_000, 10_000_000, 50)
    print(f"\n### {name}: {rows} x {cols} f64, {entries} entries drawn, rank {rank}")
    if not matrices:
        print("SciPy is not installed: skipped, it makes the matrix and writes the file.")
        return
    # Columns drawn as cols·u²: the first ones are the fullest, the spectrum falls slowly.
    random = np.random.default_rng(0)
    i, j = random.integers(0, rows, entries), (cols * random.random(entries) ** 2).astype(np.int64)
    A = matrices.csr_matrix((random.standard_normal(entries), (i, j)), shape=(rows, cols))
    with session.folder() as folder:
        path = os.path.join(folder, "A.npz")
        matrices.save_npz(path, A, compressed=False)
        contenders = ours(session, session.lowrank_svd(path, rank), path, rank)
        own, error = len(contenders), sparse_error(A, session.lowrank_factors(folder, path, rank))
        for each in contenders:
            each.error = error
        goal = contenders[0].error * (1 + SAME_ERROR)
        if session.extmath:
            contenders += with_equal_error(lambda q: session.sklearn_svd(A, rank, q), 2,
                                           lambda factors: sparse_error(A, factors), goal)
            contenders.append(session.sklearn_truncated(A, rank))
        contenders.append(session.scipy_svds(A, rank))
        session.race(contenders)
        for each in contenders[own:]:
            each.error = sparse_error(A, each.result)
    best = min(each.error for each in contenders)
    svd_table(contenders, own, best, np.finfo(A.dtype).eps)
    session.record(name, rows=rows, cols=cols, entries=int(A.nnz), rank=rank, best=best,
                   reported=contenders[own - 1].result, contenders=[each.as_dict() for each in contenders])


def workload(function, note, **arguments):
    def run(session, name):
        function(session, name, **arguments)

    run.__doc__ = note
    return run


WORKLOADS = {
    "rsvd-f32": workload(dense, "4096 x 4096 f32, rank 100", rows=4096, cols=4096, dtype="f32", rank=100),
    "rsvd-f64": workload(dense, "the same in f64", rows=4096, cols=4096, dtype="f64", rank=100),
    "tall-f32": workload(dense, "20000 x 1000 f32, rank 50", rows=20000, cols=1000, dtype="f32", rank=50),
    "tall-f64": workload(dense, "the same in f64", rows=20000, cols=1000, dtype="f64", rank=50),
    "default-f32": workload(default_quality, "within 1 % of the best on every family, 4096 x 4096 f32, rank 20",
                            dtype="f32"),
    "default-f64": workload(default_quality, "the same in f64", dtype="f64"),
    "rank-low": workload(numerical_rank, "rank of 4000 x 4000 f64 of rank 100",
                         flags=lambda n: ("--rank", n // 40), true_rank=lambda n: n // 40),
    "rank-full": workload(numerical_rank, "rank of 4000 x 4000 f64, Gaussian, full rank",
                          flags=lambda n: (), true_rank=lambda n: n),
    "rank-half": workload(numerical_rank, "rank of 4000 x 4000 f64 of rank 2000",
                          flags=lambda n: ("--rank", n // 2), true_rank=lambda n: n // 2),
    "sparse": workload(sparse, "sparse 200,000 x 50,000 f64, 10^7 entries, rank 50"),
}
