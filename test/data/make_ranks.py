"""Writes ranks.npz: small matrices of many kinds and the ranks that numpy.linalg.matrix_rank gives them.

A matrix is left out where a singular value (of the stored matrix, in double) lies within a factor of 2.5 of NumPy's
tolerance: there the answer is a matter of rounding.
"""

import os
import sys

import numpy as np

rng = np.random.default_rng(20240607)


def haar(m, k):
    return np.linalg.qr(rng.standard_normal((m, k)))[0]


def spectrum(m, n, sigma):
    k = len(sigma)
    return haar(m, k) * np.asarray(sigma) @ haar(n, k).T


def product(m, n, r):
    return rng.standard_normal((m, r)) @ rng.standard_normal((r, n))


def hilbert(m, n):
    return 1.0 / (np.arange(m)[:, None] + np.arange(n)[None, :] + 1)


def kahan(n, theta=1.2):
    s, c = np.sin(theta), np.cos(theta)
    return np.diag(s ** np.arange(n)) @ (np.eye(n) - c * np.triu(np.ones((n, n)), 1))


def lauchli(n, mu):
    return np.vstack([np.ones((1, n)), mu * np.eye(n)])


def gks(n):
    j = np.arange(1, n + 1)
    return np.diag(1 / np.sqrt(j)) + np.triu(-np.ones((n, n)) / np.sqrt(j), 1)


def prolate(n, w=0.25):
    d = np.arange(1, n)
    row = np.concatenate([[2 * w], np.sin(2 * np.pi * w * d) / (np.pi * d)])
    return row[np.abs(np.arange(n)[:, None] - np.arange(n)[None, :])]


def cauchy(m, n):
    return 1.0 / (np.arange(1, m + 1)[:, None] + np.arange(1, n + 1)[None, :] + 0.5)


def vandermonde(m, n):
    return np.vander(np.linspace(-1, 1, m), n, increasing=True)


def near_tolerance(m, n, eps, above, below):
    """The last two singular values stand `above` and `below` times the tolerance."""
    tol = max(m, n) * eps
    return spectrum(m, n, [1] * (min(m, n) - 2) + [above * tol, below * tol])


def permuted_blocks():
    A = np.zeros((24, 18))
    A[:8, :6] = product(8, 6, 3)
    A[8:16, 6:12] = 1e-3 * product(8, 6, 2)
    A[16:, 12:] = 1e3 * product(8, 6, 4)
    return A[rng.permutation(24)][:, rng.permutation(18)]


def integers(m, n, r):
    return (rng.integers(-3, 4, (m, r)) @ rng.integers(-3, 4, (r, n))).astype(float)


def kinds(eps):
    yield "full_square", rng.standard_normal((20, 20))
    yield "full_tall", rng.standard_normal((40, 12))
    yield "full_wide", rng.standard_normal((12, 40))
    for m, n, r in [(10, 10, 2), (30, 20, 1), (20, 30, 7), (25, 25, 24), (40, 8, 5), (8, 40, 7)]:
        yield f"product_{m}_{n}_{r}", product(m, n, r)
    for m, n, r in [(15, 12, 4), (12, 15, 9), (30, 30, 13)]:
        yield f"integers_{m}_{n}_{r}", integers(m, n, r)
    yield "zero", np.zeros((9, 7))
    yield "zero_row", np.zeros((1, 7))
    yield "row", rng.standard_normal((1, 30))
    yield "column", rng.standard_normal((30, 1))
    yield "one", np.array([[-2.5]])
    yield "one_zero", np.array([[0.0]])
    yield "ones", np.ones((20, 15))
    yield "constant_columns", np.tile(rng.standard_normal(15), (20, 1))
    yield "identity", np.eye(23)
    yield "single_entry", np.diag([0.0] * 10 + [3.0] + [0.0] * 5)
    yield "zero_columns", rng.standard_normal((20, 16)) * (np.arange(16) % 3 == 0)
    yield "equal_columns", rng.standard_normal((20, 5))[:, np.arange(15) % 5]
    yield "graded_half", spectrum(24, 24, 10.0 ** (-0.5 * np.arange(24)))
    yield "graded_two", spectrum(30, 20, 100.0 ** -np.arange(20))
    yield "graded_rows", np.diag(10.0 ** -np.arange(0, 30, 2)) @ rng.standard_normal((15, 15))
    yield "step_1e-3", spectrum(25, 20, [1] * 8 + [1e-3] * 12)
    yield "step_1e-10", spectrum(25, 20, [1] * 8 + [1e-10] * 12)
    yield "step_1e-18", spectrum(25, 20, [1] * 8 + [1e-18] * 12)
    yield "above", near_tolerance(30, 25, eps, 8, 4)
    yield "astride", near_tolerance(30, 25, eps, 4, 0.05)
    yield "below", near_tolerance(25, 30, eps, 0.1, 0.03)
    for n in [5, 8, 12, 17, 20, 30]:
        yield f"hilbert_{n}", hilbert(n, n)
    yield "hilbert_tall", hilbert(40, 10)
    for n in [10, 20, 30, 40]:
        yield f"kahan_{n}", kahan(n)
    for mu in [1e-4, 1e-7, 1e-9, 1e-20]:
        yield f"lauchli_{mu:g}", lauchli(12, mu)
    yield "gks_25", gks(25)
    yield "vandermonde_12", vandermonde(12, 12)
    yield "vandermonde_tall", vandermonde(30, 18)
    yield "vandermonde_wide", vandermonde(18, 30).copy()
    yield "cauchy_9", cauchy(9, 9)
    yield "cauchy_22", cauchy(22, 16)
    yield "prolate_20", prolate(20)
    yield "prolate_32", prolate(32)
    yield "blocks", permuted_blocks()
    yield "triangle_ones", np.triu(np.ones((25, 25)))
    yield "magic_like", np.arange(100.0).reshape(10, 10)
    yield "rank_and_noise", product(24, 18, 5) + 1e-2 * rng.standard_normal((24, 18))
    large, small = (1e30, 1e-30) if eps > 1e-10 else (1e200, 1e-200)
    yield "scaled_up", large * product(20, 16, 6)
    yield "scaled_down", small * product(20, 16, 6)
    yield "scaled_up_graded", large * spectrum(20, 16, 10.0 ** -np.arange(0, 32, 2))
    yield "scaled_down_full", small * rng.standard_normal((14, 20))
    if eps < 1e-10:
        yield "scaled_1e300", 1e300 * product(12, 9, 4)
        yield "scaled_1e-300", 1e-300 * product(12, 9, 4)


def unambiguous(A, eps):
    sigma = np.linalg.svd(A.astype(np.float64), compute_uv=False)
    if sigma[0] == 0:
        return True
    ratio = sigma / (max(A.shape) * eps * sigma[0])
    return not np.any((ratio > 0.4) & (ratio < 2.5))


def main(path):
    matrices, ranks, left_out = {}, [], []
    for dtype, tag in [(np.float64, "f64"), (np.float32, "f32")]:
        eps = np.finfo(dtype).eps
        for count, (name, A) in enumerate(kinds(eps)):
            A = np.array(A, dtype=dtype, order="CF"[count % 2])
            if not unambiguous(A, eps):
                left_out.append(f"{name}_{tag}")
                continue
            matrices[f"{name}_{tag}"] = A
            ranks.append(np.linalg.matrix_rank(A))
    np.savez_compressed(path, ranks=np.array(ranks, dtype=np.float64), **matrices)
    print(f"{len(ranks)} matrices, {os.path.getsize(path)} bytes, NumPy {np.__version__}; ambiguous: {left_out}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "ranks.npz"))
