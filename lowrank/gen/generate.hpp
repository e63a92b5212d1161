#pragma once

#include <cstdint>
#include <lowrank/core/matrix.hpp>
#include <lowrank/core/progress.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace lowrank {

enum class Rng {
  philox,  ///< counter-based, see random.hpp
  torch,   ///< PyTorch's CPU generator, see torch_generator.hpp
};

/// Which matrix is wanted: exactly one of
///   - neither rank, sigma nor name: standard normal entries (torch: randn(rows, cols));
///   - rank without sigma: G1·G2 with G1 rows×rank, G2 rank×cols standard normal, the product in T
///     (torch: randn(rows, rank), then randn(rank, cols));
///   - sigma: U·diag(sigma)·Vᵀ with Haar-random U and V, computed in double and rounded to T; with a rank, the largest
///     `rank` values, the others 0 (torch: Gaussian panels randn(rows, r), randn(cols, r) in double go into U and V);
///   - name: a named matrix (see named.hpp).
/// To each noise may be added.
struct GenerateOptions {
  Index rows = 0;
  Index cols = 0;
  std::optional<Index> rank = std::nullopt;  ///< 1 .. min(rows, cols)
  /// Singular values, at most min(rows, cols), finite, not negative, in any order; missing ones are 0. Empty: no
  /// spectrum.
  std::vector<double> sigma = {};
  std::string name = {};  ///< empty: no named matrix
  /// X adds X/√max(rows, cols) times a standard Gaussian matrix: entries of standard deviation X/√max(rows, cols), a
  /// spectral norm of about X·(1 + √(min/max)), that is X to 2X, and a Frobenius norm of about X·√min(rows, cols). It
  /// is absolute, fitting spectra that begin at 1. The "low rank plus noise γ" of Tropp, Yurtsever, Udell and Cevher
  /// 2017 (‖noise‖²_F = γ·R beside R singular values 1) is X = √(γ·R/min(rows, cols)).
  double noise = 0;
  std::uint64_t seed = 0;
  Rng rng = Rng::philox;
  ProgressCallback progress = {};  ///< of the work before the first block, and of generate()
};

/// A matrix made in blocks of whole rows from the top down, so that it need not fit in memory. What is held: one block
/// (about 16 MiB, at least a row), for a rank the panels G1 and G2 (rank·(rows + cols) entries), for a spectrum U and V
/// in double, of as many columns as there are non-zero singular values.
/// The entries depend on the options alone: to the bit the same for any number of threads (products are cut into
/// tiles that depend on the shape alone), on one kind of machine with one OpenBLAS.
/// Cost: 2·rows·cols·r flops for a product, for a spectrum 4·r²·(rows + cols) more for U and V (haar.hpp).
template <Real T>
class MatrixSource {
 public:
  /// Makes what is held. Throws std::invalid_argument for options that contradict each other or the shape, Error where
  /// the panels do not fit in memory.
  explicit MatrixSource(const GenerateOptions& options);
  MatrixSource(MatrixSource&&) noexcept;
  MatrixSource& operator=(MatrixSource&&) noexcept;
  ~MatrixSource();

  Index rows() const;
  Index cols() const;
  /// Rows of every block but the last, a function of rows and cols.
  Index block_rows() const;
  /// The first row of the next block; rows() when all are made.
  Index next_row() const;
  /// The next block, row-major without gaps, valid until the next call; a view of no rows when all are made.
  MatrixView<const T> next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The whole matrix, column-major on the host.
template <Real T>
Matrix<T> generate(const GenerateOptions& options);

}  // namespace lowrank
