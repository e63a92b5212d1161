#pragma once

#include <lowrank/gen/generate.hpp>
#include <lowrank/gen/torch_generator.hpp>
#include <memory>

/// What fills a block of rows, one class for each kind of matrix. Internal to gen.

namespace lowrank {

template <Real T>
class RowMaker {
 public:
  virtual ~RowMaker() = default;
  /// Fills a row-major block without gaps; blocks are asked for in order from row 0.
  virtual void make(Index first_row, MatrixView<T> block) = 0;
};

/// Standard normal numbers from the options' generator. Panels and streams are drawn in the order of the calls, which
/// for torch decides their values; for Philox each use has a stream of its own.
class NormalSource {
 public:
  /// The stream of each use. High numbers, so that an algorithm that draws from low ones with the same seed does not
  /// meet the very numbers that its input was made of.
  enum class Use : std::uint64_t { plain = 0x67656e00, left_factor, right_factor, left_vectors, right_vectors, noise };

  explicit NormalSource(const GenerateOptions& options)
      : rng_(options.rng), seed_(options.seed), torch_(options.seed) {}

  template <Real T>
  Matrix<T> panel(Index rows, Index cols, Use use);

  /// A rows×cols matrix, row by row.
  template <Real T>
  std::unique_ptr<RowMaker<T>> rows(Index rows, Index cols, Use use);

 private:
  Rng rng_;
  std::uint64_t seed_;
  TorchGenerator torch_;
};

/// The matrix without its noise. The options have been checked.
template <Real T>
std::unique_ptr<RowMaker<T>> make_rows(const GenerateOptions& options, NormalSource& normals);

}  // namespace lowrank
