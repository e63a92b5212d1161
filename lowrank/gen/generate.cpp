#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <lowrank/gen/generate.hpp>
#include <lowrank/gen/row_makers.hpp>
#include <stdexcept>
#include <utility>

namespace lowrank {
namespace {

void check_kind(const GenerateOptions& options) {
  if (options.name.empty()) return;
  if (options.rank) throw std::invalid_argument("generate: a named matrix takes no rank");
  if (!options.sigma.empty()) throw std::invalid_argument("generate: a named matrix takes no spectrum");
}

void check_values(const GenerateOptions& options) {
  const Index least = std::min(options.rows, options.cols);
  if (options.rank && (*options.rank < 1 || *options.rank > least))
    throw std::invalid_argument(fmt::format("generate: the rank {} is not between 1 and {} (the matrix is {}x{})",
                                            *options.rank, least, options.rows, options.cols));
  const Index count = static_cast<Index>(options.sigma.size());
  if (count > least)
    throw std::invalid_argument(fmt::format("generate: a {}x{} matrix has {} singular values, and {} are given",
                                            options.rows, options.cols, least, count));
  for (Index i = 0; i < count; ++i) {
    const double value = options.sigma[static_cast<std::size_t>(i)];
    if (!(value >= 0) || !std::isfinite(value))
      throw std::invalid_argument(
          fmt::format("generate: singular value {} is {}, not a finite number from 0 on", i, value));
  }
  if (!(options.noise >= 0) || !std::isfinite(options.noise))
    throw std::invalid_argument(fmt::format("generate: the noise is {}, not a finite number from 0 on", options.noise));
}

const GenerateOptions& checked(const GenerateOptions& options) {
  if (options.rows < 0 || options.cols < 0)
    throw std::invalid_argument(fmt::format("generate: the shape is {}x{}", options.rows, options.cols));
  check_kind(options);
  check_values(options);
  return options;
}

/// About 2²¹ entries.
Index rows_in_block(Index rows, Index cols) {
  constexpr Index entries = Index{1} << 21;
  return std::clamp<Index>(entries / std::max<Index>(cols, 1), 1, std::max<Index>(rows, 1));
}

}  // namespace

template <Real T>
struct MatrixSource<T>::State {
  explicit State(const GenerateOptions& options)
      : rows(options.rows), cols(options.cols), block_rows(rows_in_block(rows, cols)), normals(options) {
    maker = make_rows<T>(options, normals);
    block = Matrix<T>(std::min(block_rows, rows), cols, Order::row_major);
    if (options.noise == 0) return;
    noise = normals.template rows<T>(rows, cols, NormalSource::Use::noise);
    noise_scale = static_cast<T>(options.noise / std::sqrt(static_cast<double>(std::max(rows, cols))));
    noise_block = Matrix<T>(block.rows(), cols, Order::row_major);
  }

  MatrixView<const T> next() {
    const Index height = std::min(block_rows, rows - next_row);
    const MatrixView<T> view = block.view().middle_rows(0, height);
    if (view.empty()) {
      next_row += height;
      return view;
    }
    maker->make(next_row, view);
    if (noise) add_noise(view);
    next_row += height;
    return view;
  }

  void add_noise(MatrixView<T> view) {
    noise->make(next_row, noise_block.view().middle_rows(0, view.rows()));
    T* entries = view.data();
    const T* random = noise_block.data();
    for (Index i = 0; i < view.size(); ++i) entries[i] += noise_scale * random[i];
  }

  Index rows, cols, block_rows;
  Index next_row = 0;
  NormalSource normals;
  std::unique_ptr<RowMaker<T>> maker, noise;
  T noise_scale = 0;
  Matrix<T> block, noise_block;
};

template <Real T>
MatrixSource<T>::MatrixSource(const GenerateOptions& options) : state_(std::make_unique<State>(checked(options))) {}
template <Real T>
MatrixSource<T>::MatrixSource(MatrixSource&&) noexcept = default;
template <Real T>
MatrixSource<T>& MatrixSource<T>::operator=(MatrixSource&&) noexcept = default;
template <Real T>
MatrixSource<T>::~MatrixSource() = default;

template <Real T>
Index MatrixSource<T>::rows() const {
  return state_->rows;
}
template <Real T>
Index MatrixSource<T>::cols() const {
  return state_->cols;
}
template <Real T>
Index MatrixSource<T>::block_rows() const {
  return state_->block_rows;
}
template <Real T>
Index MatrixSource<T>::next_row() const {
  return state_->next_row;
}
template <Real T>
MatrixView<const T> MatrixSource<T>::next() {
  return state_->next();
}

template <Real T>
Matrix<T> generate(const GenerateOptions& options) {
  MatrixSource<T> source(options);
  Matrix<T> result(source.rows(), source.cols());
  while (source.next_row() < source.rows()) {
    const Index first = source.next_row();
    const MatrixView<const T> block = source.next();
    copy<T>(block, result.view().middle_rows(first, block.rows()));
    if (options.progress)
      options.progress({"matrix", static_cast<double>(source.next_row()) / static_cast<double>(source.rows())});
  }
  return result;
}

template class MatrixSource<float>;
template class MatrixSource<double>;
template Matrix<float> generate<float>(const GenerateOptions&);
template Matrix<double> generate<double>(const GenerateOptions&);

}  // namespace lowrank
