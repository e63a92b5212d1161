#include "families.hpp"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/core/error.hpp>
#include <lowrank/core/primitives.hpp>
#include <lowrank/gen/generate.hpp>
#include <lowrank/gen/named.hpp>
#include <lowrank/gen/spectrum.hpp>
#include <lowrank/io/load.hpp>
#include <numeric>
#include <stdexcept>
#include <variant>

namespace lowrank::bench {
namespace {

struct SpectrumFamily {
  const char* name;
  const char* spec;
  double noise;
  const char* description;
};

constexpr SpectrumFamily spectra[] = {
    {"poly0.5", "poly:0.5", 0, "sigma_i = i^-0.5"},
    {"poly1", "poly:1", 0, "sigma_i = i^-1"},
    {"poly2", "poly:2", 0, "sigma_i = i^-2"},
    {"exp0.01", "exp:0.01", 0, "sigma_i = 10^(-0.01 i)"},
    {"exp0.1", "exp:0.1", 0, "sigma_i = 10^(-0.1 i)"},
    {"exp0.5", "exp:0.5", 0, "sigma_i = 10^(-0.5 i)"},
    {"noise1e-4", "step:20,0", 1e-4, "20 ones plus noise 1e-4"},
    {"noise1e-2", "step:20,0", 1e-2, "20 ones plus noise 1e-2"},
    {"noise1e-1", "step:20,0", 1e-1, "20 ones plus noise 1e-1"},
    {"stairs", "stairs:20,0.251188643150958", 0, "devil's stairs: steps of 20, ratio 10^-0.6"},
    {"step", "step:20,1e-10", 0, "20 ones, then 1e-10"},
    {"flat", "flat", 0, "all ones"},
};

struct NamedFamily {
  const char* name;
  Index size;
};

constexpr NamedFamily named[] = {{"kahan", 90},        {"hilbert", 1024}, {"lauchli", 512}, {"gks", 512},
                                 {"vandermonde", 512}, {"cauchy", 512},   {"prolate", 512}};

template <Real T>
void set_singular_values(TestMatrix<T>& matrix) {
  const Matrix<double> A = [&] {
    Matrix<double> copied(matrix.A.rows(), matrix.A.cols());
    for (Index j = 0; j < copied.cols(); ++j)
      for (Index i = 0; i < copied.rows(); ++i) copied(i, j) = matrix.A(i, j);
    return copied;
  }();
  matrix.sigma = thin_svd<double>(A.view(), Vectors::none).S;
}

template <Real T>
TestMatrix<T> loaded(const std::string& path) {
  const LoadedMatrix file = load_matrix(path);
  TestMatrix<T> matrix;
  std::visit(
      [&]<class Content>(const Content& content) {
        if constexpr (std::is_same_v<Content, Matrix<float>> || std::is_same_v<Content, Matrix<double>>) {
          matrix.A = Matrix<T>(content.rows(), content.cols());
          for (Index j = 0; j < content.cols(); ++j)
            for (Index i = 0; i < content.rows(); ++i) matrix.A(i, j) = static_cast<T>(content(i, j));
        } else {
          throw Error(path + ": a dense matrix that fits in memory is wanted");
        }
      },
      file.content);
  return matrix;
}

}  // namespace

std::vector<FamilyInfo> families() {
  std::vector<FamilyInfo> result;
  for (const auto& each : spectra) result.push_back({each.name, each.description});
  for (const auto& each : named)
    for (const NamedInfo& info : named_matrices())
      if (info.name == each.name)
        result.push_back({each.name, fmt::format("{0} x {0}: {1}", each.size, info.description)});
  return result;
}

std::vector<std::string> expand_families(const std::vector<std::string>& names) {
  std::vector<std::string> result;
  for (const std::string& name : names) {
    const auto known = families();
    if (name == "spectra" || name == "all")
      for (const auto& each : spectra) result.emplace_back(each.name);
    if (name == "named" || name == "all")
      for (const auto& each : named) result.emplace_back(each.name);
    if (name == "spectra" || name == "named" || name == "all") continue;
    if (!name.starts_with("file:") &&
        std::none_of(known.begin(), known.end(), [&](const FamilyInfo& info) { return info.name == name; }))
      throw std::invalid_argument(fmt::format("unknown family \"{}\"; --list shows them", name));
    result.push_back(name);
  }
  return result;
}

template <Real T>
double TestMatrix<T>::optimum(Index k) const {
  double tail = 0;
  for (std::size_t i = sigma.size(); i > static_cast<std::size_t>(k); --i) tail += sigma[i - 1] * sigma[i - 1];
  return norm > 0 ? std::sqrt(tail) / norm : 0;
}

template <Real T>
TestMatrix<T> make_matrix(const std::string& family, Index rows, Index cols, std::uint64_t seed) {
  TestMatrix<T> matrix;
  bool exact = false;
  if (family.starts_with("file:")) matrix = loaded<T>(family.substr(5));
  for (const auto& each : named)
    if (family == each.name) matrix.A = named_matrix<T>(each.name, each.size, each.size);
  for (const auto& each : spectra)
    if (family == each.name) {
      matrix.sigma = spectrum(each.spec, std::min(rows, cols));
      std::vector<double> given = matrix.sigma;
      while (!given.empty() && given.back() == 0) given.pop_back();
      matrix.A = generate<T>({.rows = rows, .cols = cols, .sigma = given, .noise = each.noise, .seed = seed});
      exact = each.noise == 0;
    }
  if (!exact) set_singular_values(matrix);
  matrix.norm = frobenius_norm<T>(matrix.A.view());
  return matrix;
}

template <Real T>
TestMatrix<T> make_decaying(Index rows, Index cols, Index terms, std::uint64_t seed) {
  GenerateOptions options{.rows = rows, .cols = cols, .noise = 1e-3, .seed = seed};
  for (Index i = 0; i < std::min({terms, rows, cols}); ++i) options.sigma.push_back(std::pow(0.97, i));
  TestMatrix<T> matrix;
  matrix.A = generate<T>(options);
  set_singular_values(matrix);
  matrix.norm = frobenius_norm<T>(matrix.A.view());
  return matrix;
}

template <Real T>
double measured_error(MatrixView<const T> A, MatrixView<const T> U, const T* S, MatrixView<const T> V, double norm) {
  const Index k = U.cols();
  Matrix<double> Vd(V.rows(), k);
  for (Index j = 0; j < k; ++j)
    for (Index i = 0; i < V.rows(); ++i) Vd(i, j) = V(i, j);
  double sum = 0;
  constexpr Index block = 256;
  for (Index first = 0; first < A.rows(); first += block) {
    const Index count = std::min(block, A.rows() - first);
    Matrix<double> US(count, k), E(count, A.cols());
    for (Index j = 0; j < k; ++j)
      for (Index i = 0; i < count; ++i) US(i, j) = static_cast<double>(U(first + i, j)) * static_cast<double>(S[j]);
    for (Index j = 0; j < A.cols(); ++j)
      for (Index i = 0; i < count; ++i) E(i, j) = A(first + i, j);
    multiply<double>(-1.0, US.view(), Vd.view().transposed(), 1.0, E.view());
    const double part = frobenius_norm<double>(E.view());
    sum += part * part;
  }
  return norm > 0 ? std::sqrt(sum) / norm : 0;
}

#define LOWRANK_BENCH_INSTANTIATE(T)                                                      \
  template struct TestMatrix<T>;                                                          \
  template TestMatrix<T> make_matrix<T>(const std::string&, Index, Index, std::uint64_t); \
  template TestMatrix<T> make_decaying<T>(Index, Index, Index, std::uint64_t);            \
  template double measured_error<T>(MatrixView<const T>, MatrixView<const T>, const T*, MatrixView<const T>, double);
LOWRANK_BENCH_INSTANTIATE(float)
LOWRANK_BENCH_INSTANTIATE(double)
#undef LOWRANK_BENCH_INSTANTIATE

}  // namespace lowrank::bench
