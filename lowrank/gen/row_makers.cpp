#include <fmt/core.h>

#include <algorithm>
#include <functional>
#include <lowrank/core/error.hpp>
#include <lowrank/gen/haar.hpp>
#include <lowrank/gen/named.hpp>
#include <lowrank/gen/row_makers.hpp>
#include <lowrank/gen/tiles.hpp>
#include <utility>

namespace lowrank {
namespace {

template <Real T>
class PhiloxRows final : public RowMaker<T> {
 public:
  PhiloxRows(std::uint64_t seed, NormalSource::Use use) : seed_(seed), stream_(static_cast<std::uint64_t>(use)) {}
  void make(Index first_row, MatrixView<T> block) override { fill_normal<T>(block, seed_, stream_, first_row); }

 private:
  std::uint64_t seed_, stream_;
};

template <Real T>
class TorchRows final : public RowMaker<T> {
 public:
  TorchRows(const TorchGenerator& generator, Index total) : generator_(generator), stream_(generator_, total) {}
  TorchRows(const TorchRows&) = delete;  // the stream points into the object
  TorchRows& operator=(const TorchRows&) = delete;
  void make(Index, MatrixView<T> block) override {
    stream_.read(std::span<T>(block.data(), static_cast<std::size_t>(block.size())));
  }

 private:
  TorchGenerator generator_;
  TorchNormalStream<T> stream_;
};

template <Real T>
class NamedRows final : public RowMaker<T> {
 public:
  NamedRows(std::string name, Index rows, Index cols) : name_(std::move(name)), rows_(rows), cols_(cols) {}
  void make(Index first_row, MatrixView<T> block) override { fill_named<T>(name_, rows_, cols_, first_row, block); }

 private:
  std::string name_;
  Index rows_, cols_;
};

/// left·rightᵀ or left·right, computed in Work and rounded to T.
template <Real T, Real Work>
class ProductRows final : public RowMaker<T> {
 public:
  enum class Right { plain, transposed };

  ProductRows(Matrix<Work> left, Matrix<Work> right, Right how)
      : left_(std::move(left)), right_(std::move(right)), how_(how) {}

  void make(Index first_row, MatrixView<T> block) override {
    const MatrixView<const Work> left = std::as_const(left_).view().middle_rows(first_row, block.rows());
    const MatrixView<const Work> stored = std::as_const(right_).view();
    const MatrixView<const Work> right = how_ == Right::transposed ? stored.transposed() : stored;
    if constexpr (std::is_same_v<T, Work>) {
      tiles::product<T>(left, right, block);
    } else {
      Matrix<Work> wide(block.rows(), block.cols(), Order::row_major);
      tiles::product<Work>(left, right, wide);
      std::transform(wide.data(), wide.data() + wide.size(), block.data(), [](Work x) { return static_cast<T>(x); });
    }
  }

 private:
  Matrix<Work> left_, right_;
  Right how_;
};

/// The non-zero singular values that the options leave, falling.
std::vector<double> kept_values(const GenerateOptions& options) {
  std::vector<double> sigma = options.sigma;
  std::sort(sigma.begin(), sigma.end(), std::greater<>());
  if (options.rank) sigma.resize(std::min(sigma.size(), static_cast<std::size_t>(*options.rank)));
  while (!sigma.empty() && sigma.back() == 0) sigma.pop_back();
  return sigma;
}

void require_memory(const GenerateOptions& options, Index rank) {
  const Index bytes = checked_product(checked_product(rank, options.rows + options.cols), sizeof(double));
  if (bytes <= available_memory()) return;
  constexpr double gib = 1024.0 * 1024.0 * 1024.0;
  throw Error(
      fmt::format("a {}x{} matrix with {} given singular values needs its singular vectors in memory, {:.2f} GiB, and "
                  "{:.2f} GiB are available; a smaller rank needs less",
                  options.rows, options.cols, rank, static_cast<double>(bytes) / gib,
                  static_cast<double>(available_memory()) / gib));
}

ProgressCallback half(const ProgressCallback& progress, double begin) {
  if (!progress) return {};
  return [&progress, begin](const Progress& p) { progress({p.stage, begin + p.fraction / 2}); };
}

template <Real T>
std::unique_ptr<RowMaker<T>> spectrum_rows(const GenerateOptions& options, NormalSource& normals) {
  const std::vector<double> sigma = kept_values(options);
  const Index rank = static_cast<Index>(sigma.size());
  require_memory(options, rank);
  Matrix<double> U = normals.panel<double>(options.rows, rank, NormalSource::Use::left_vectors);
  Matrix<double> V = normals.panel<double>(options.cols, rank, NormalSource::Use::right_vectors);
  haar_from_gaussian(U, half(options.progress, 0));
  haar_from_gaussian(V, half(options.progress, 0.5));
  scale_columns<double>(U, sigma);
  using Rows = ProductRows<T, double>;
  return std::make_unique<Rows>(std::move(U), std::move(V), Rows::Right::transposed);
}

}  // namespace

template <Real T>
Matrix<T> NormalSource::panel(Index rows, Index cols, Use use) {
  Matrix<T> result(rows, cols);
  if (rng_ == Rng::philox) {
    fill_normal<T>(result, seed_, static_cast<std::uint64_t>(use));
    return result;
  }
  TorchNormalStream<T> stream(torch_, checked_product(rows, cols));
  std::vector<T> row(static_cast<std::size_t>(cols));
  for (Index i = 0; i < rows; ++i) {
    stream.read(row);
    for (Index j = 0; j < cols; ++j) result(i, j) = row[static_cast<std::size_t>(j)];
  }
  return result;
}

template <Real T>
std::unique_ptr<RowMaker<T>> NormalSource::rows(Index rows, Index cols, Use use) {
  if (rng_ == Rng::philox) return std::make_unique<PhiloxRows<T>>(seed_, use);
  const Index total = checked_product(rows, cols);
  auto result = std::make_unique<TorchRows<T>>(torch_, total);
  torch_.skip_normal<T>(total);
  return result;
}

template <Real T>
std::unique_ptr<RowMaker<T>> make_rows(const GenerateOptions& options, NormalSource& normals) {
  const Index rows = options.rows, cols = options.cols;
  if (!options.name.empty()) return std::make_unique<NamedRows<T>>(options.name, rows, cols);
  if (!options.sigma.empty()) return spectrum_rows<T>(options, normals);
  if (!options.rank) return normals.rows<T>(rows, cols, NormalSource::Use::plain);
  Matrix<T> left = normals.panel<T>(rows, *options.rank, NormalSource::Use::left_factor);
  Matrix<T> right = normals.panel<T>(*options.rank, cols, NormalSource::Use::right_factor);
  using Rows = ProductRows<T, T>;
  return std::make_unique<Rows>(std::move(left), std::move(right), Rows::Right::plain);
}

#define LOWRANK_INSTANTIATE(T)                                                    \
  template Matrix<T> NormalSource::panel<T>(Index, Index, Use);                   \
  template std::unique_ptr<RowMaker<T>> NormalSource::rows<T>(Index, Index, Use); \
  template std::unique_ptr<RowMaker<T>> make_rows<T>(const GenerateOptions&, NormalSource&);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank
