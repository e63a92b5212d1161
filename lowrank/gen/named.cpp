#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <lowrank/gen/named.hpp>
#include <numbers>
#include <stdexcept>

namespace lowrank {
namespace {

/// What an entry depends on besides its place.
struct Shape {
  double rows;
  bool is_float;
};

double at(Index i) { return static_cast<double>(i); }

// Kahan 1966; Higham, Accuracy and Stability of Numerical Algorithms, 8.3: diag(sⁱ)·(unit upper triangle of −c).
double kahan(Index i, Index j, const Shape&) {
  constexpr double theta = 1.2;
  const double scale = std::pow(std::sin(theta), at(i));
  return i == j ? scale : i < j ? -std::cos(theta) * scale : 0.0;
}

double hilbert(Index i, Index j, const Shape&) { return 1.0 / at(i + j + 1); }

// Läuchli 1961. The subdiagonal lies below √eps, so that its square is lost beside 1 in the Gram matrix.
double lauchli(Index i, Index j, const Shape& shape) {
  const double mu = shape.is_float ? 1e-5 : 1e-9;
  return i == 0 ? 1.0 : i == j + 1 ? mu : 0.0;
}

// Golub, Klema, Stewart 1976: the rank does not show on the diagonal of R.
double gks(Index i, Index j, const Shape&) {
  const double value = 1.0 / std::sqrt(at(j + 1));
  return i == j ? value : i < j ? -value : 0.0;
}

double vandermonde(Index i, Index j, const Shape& shape) { return std::pow(at(i + 1) / shape.rows, at(j)); }

double cauchy(Index i, Index j, const Shape&) { return 1.0 / at(i + j + 2); }

// Varah 1993.
double prolate(Index i, Index j, const Shape&) {
  constexpr double w = 0.25;
  const double lag = at(i > j ? i - j : j - i);
  return lag == 0 ? 2 * w : std::sin(2 * std::numbers::pi * w * lag) / (std::numbers::pi * lag);
}

double identity(Index i, Index j, const Shape&) { return i == j ? 1.0 : 0.0; }
double zeros(Index, Index, const Shape&) { return 0.0; }
double ones(Index, Index, const Shape&) { return 1.0; }

struct Named {
  NamedInfo info;
  double (*entry)(Index, Index, const Shape&);
};

constexpr std::array all{
    Named{{"kahan", "s^i on the diagonal, -c*s^i right of it, s = sin 1.2, c = cos 1.2; pivoted QR misses its rank"},
          kahan},
    Named{{"hilbert", "1/(i+j+1); singular values fall exponentially"}, hilbert},
    Named{{"lauchli",
           "a row of ones over mu*I, mu 1e-9 (f64) or 1e-5 (f32); a Gram matrix loses mu. Usual shape n+1 x n"},
          lauchli},
    Named{{"gks", "1/sqrt(j+1) on the diagonal, -1/sqrt(j+1) above it; nearly singular, no small entry says so"}, gks},
    Named{{"vandermonde", "x^j with points x = (i+1)/rows; ill-conditioned"}, vandermonde},
    Named{{"cauchy", "1/(x+y) with x = i+1, y = j+1; singular values fall exponentially"}, cauchy},
    Named{{"prolate", "Toeplitz, sin(pi*k/2)/(pi*k) at distance k, 1/2 on the diagonal; eigenvalues gather at 0 and 1"},
          prolate},
    Named{{"identity", "ones on the diagonal"}, identity},
    Named{{"zeros", "all entries 0"}, zeros},
    Named{{"ones", "all entries 1, rank 1"}, ones},
};

const Named& find(std::string_view name) {
  const auto* const found = std::find_if(all.begin(), all.end(), [&](const Named& n) { return n.info.name == name; });
  if (found != all.end()) return *found;
  std::vector<std::string_view> names;
  for (const Named& n : all) names.push_back(n.info.name);
  throw std::invalid_argument(
      fmt::format("there is no matrix named '{}' (the names are {})", name, fmt::join(names, ", ")));
}

}  // namespace

std::vector<NamedInfo> named_matrices() {
  std::vector<NamedInfo> result;
  for (const Named& n : all) result.push_back(n.info);
  return result;
}

template <Real T>
void fill_named(std::string_view name, Index rows, Index cols, Index first_row, MatrixView<T> block) {
  const Named& named = find(name);
  if (first_row < 0 || first_row + block.rows() > rows || block.cols() != cols)
    throw std::invalid_argument(fmt::format("fill_named: a {}x{} block at row {} does not lie in a {}x{} matrix",
                                            block.rows(), block.cols(), first_row, rows, cols));
  const Shape shape{static_cast<double>(rows), std::is_same_v<T, float>};
  const bool by_rows = block.order() == Order::row_major;
  const Index lines = by_rows ? block.rows() : block.cols(), length = by_rows ? block.cols() : block.rows();
#pragma omp parallel for schedule(static) if (block.size() > 4096)
  for (Index l = 0; l < lines; ++l)
    for (Index p = 0; p < length; ++p) {
      const Index i = by_rows ? l : p, j = by_rows ? p : l;
      block(i, j) = static_cast<T>(named.entry(first_row + i, j, shape));
    }
}

template <Real T>
Matrix<T> named_matrix(std::string_view name, Index rows, Index cols) {
  find(name);
  if (rows < 0 || cols < 0) throw std::invalid_argument(fmt::format("named_matrix: the shape is {}x{}", rows, cols));
  Matrix<T> result(rows, cols);
  fill_named<T>(name, rows, cols, 0, result.view());
  return result;
}

template void fill_named<float>(std::string_view, Index, Index, Index, MatrixView<float>);
template void fill_named<double>(std::string_view, Index, Index, Index, MatrixView<double>);
template Matrix<float> named_matrix<float>(std::string_view, Index, Index);
template Matrix<double> named_matrix<double>(std::string_view, Index, Index);

}  // namespace lowrank
