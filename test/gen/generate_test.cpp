#include <fstream>
#include <lowrank/core/error.hpp>
#include <lowrank/gen/generate.hpp>
#include <lowrank/gen/named.hpp>
#include <lowrank/gen/spectrum.hpp>
#include <lowrank/gen/torch_generator.hpp>
#include <nlohmann/json.hpp>

#include "gen/gen_test_data.hpp"
#include "gen_check.hpp"

using gen_check::contains;
using gen_check::Index;
using gen_check::Matrix;
using gen_check::refusal;
using gen_check::same_bits;
using gen_check::spectrum_ratio;
using lowrank::generate;
using lowrank::GenerateOptions;
using lowrank::Rng;
using lowrank::spectrum;

namespace {

template <class T>
std::vector<T> row_order(const Matrix<T>& A) {
  std::vector<T> entries;
  for (Index i = 0; i < A.rows(); ++i)
    for (Index j = 0; j < A.cols(); ++j) entries.push_back(A(i, j));
  return entries;
}

/// One of each kind, larger than a tile and with more than one block of reflections.
std::vector<GenerateOptions> kinds(Index rows, Index cols) {
  const Index least = std::min(rows, cols);
  return {{.rows = rows, .cols = cols, .seed = 3},
          {.rows = rows, .cols = cols, .rank = std::min<Index>(least, 90), .seed = 3},
          {.rows = rows, .cols = cols, .sigma = spectrum("poly:1", least), .noise = 0.01, .seed = 3},
          {.rows = rows, .cols = cols, .rank = 7, .noise = 0.1, .seed = 3, .rng = Rng::torch},
          {.rows = rows, .cols = cols, .name = "kahan", .noise = 1e-3, .seed = 3}};
}

}  // namespace

TEST_CASE("generate: the transcript's matrix, as torch makes it") {
  const auto golden = nlohmann::json::parse(std::ifstream(GEN_TEST_DATA "/svd_transcript.json"));
  const Matrix<float> W = generate<float>({.rows = 10, .cols = 10, .rank = 2, .seed = 0, .rng = Rng::torch});
  for (Index i = 0; i < 10; ++i)
    for (Index j = 0; j < 10; ++j) {
      const double wanted = golden.at("W").at(static_cast<std::size_t>(i)).at(static_cast<std::size_t>(j));
      CHECK(std::abs(static_cast<double>(W(i, j)) - wanted) < 1e-6);
    }
}

TEST_CASE_TEMPLATE("generate: a given spectrum comes out, in both dtypes and all shapes", T, float, double) {
  const Index shapes[][2] = {{60, 60}, {150, 70}, {70, 150}, {1, 40}, {40, 1}, {1, 1}};
  for (const auto& [rows, cols] : shapes)
    for (const char* spec : {"exp:.1", "exp:1", "poly:2", "step:1,1e-10", "stairs:20,0.25", "flat"})
      for (const Rng rng : {Rng::philox, Rng::torch}) {
        CAPTURE(rows);
        CAPTURE(cols);
        CAPTURE(spec);
        const auto sigma = spectrum(spec, std::min(rows, cols));
        const Matrix<T> A = generate<T>({.rows = rows, .cols = cols, .sigma = sigma, .seed = 5, .rng = rng});
        CHECK(spectrum_ratio(A, sigma) < 10);
      }
}

TEST_CASE("generate: the vectors of a spectrum are not those of another seed, nor U those of V") {
  const GenerateOptions options{.rows = 50, .cols = 50, .sigma = {1}, .seed = 5};
  const auto svd = lowrank::thin_svd<double>(generate<double>(options));
  GenerateOptions other = options;
  other.seed = 6;
  const auto svd_other = lowrank::thin_svd<double>(generate<double>(other));
  const auto cosine = [](const Matrix<double>& a, const Matrix<double>& b) {
    double sum = 0;
    for (Index i = 0; i < a.rows(); ++i) sum += a(i, 0) * b(i, 0);
    return std::abs(sum);
  };
  CHECK(cosine(svd.U, svd.V) < 0.6);
  CHECK(cosine(svd.U, svd_other.U) < 0.6);
}

TEST_CASE("generate: a spectrum cut to a rank, out of order, short or zero") {
  const Matrix<double> cut = generate<double>({.rows = 30, .cols = 20, .rank = 4, .sigma = spectrum("poly:1", 20)});
  CHECK(spectrum_ratio(cut, spectrum("poly:1", 4)) < 10);
  const Matrix<double> unsorted = generate<double>({.rows = 30, .cols = 20, .rank = 2, .sigma = {1, 3, 0, 2}});
  CHECK(spectrum_ratio(unsorted, {3, 2}) < 10);
  CHECK(spectrum_ratio(generate<double>({.rows = 20, .cols = 30, .sigma = {2, 1}}), {2, 1}) < 10);
  const Matrix<float> zero = generate<float>({.rows = 6, .cols = 5, .sigma = {0, 0}});
  CHECK(lowrank::frobenius_norm<float>(zero) == 0);
}

TEST_CASE_TEMPLATE("generate: G1·G2 has its rank", T, float, double) {
  for (const Index rank : {1, 5, 40}) {
    const Matrix<T> A = generate<T>({.rows = 60, .cols = 40, .rank = rank, .seed = 9});
    const auto sigma = lowrank::thin_svd<double>(gen_check::widened(A), lowrank::Vectors::none).S;
    const double tolerance = 60 * static_cast<double>(std::numeric_limits<T>::epsilon()) * sigma[0];
    CHECK(std::count_if(sigma.begin(), sigma.end(), [&](double s) { return s > tolerance; }) == rank);
  }
}

TEST_CASE_TEMPLATE("generate: plain Gaussians have the moments, and torch's are randn", T, float, double) {
  const Matrix<T> A = generate<T>({.rows = 200, .cols = 300, .seed = 1});
  const auto entries = row_order(A);
  double mean = 0, second = 0;
  for (const T x : entries) {
    mean += static_cast<double>(x) / 60000;
    second += static_cast<double>(x) * static_cast<double>(x) / 60000;
  }
  CHECK(std::abs(mean) < 0.02);
  CHECK(std::abs(second - 1) < 0.03);

  for (const Index cols : {1, 3, 5, 7}) {
    const Matrix<T> B = generate<T>({.rows = 7, .cols = cols, .seed = 42, .rng = Rng::torch});
    std::vector<T> wanted(static_cast<std::size_t>(7 * cols));
    lowrank::TorchGenerator(42).normal(wanted);
    CHECK(row_order(B) == wanted);
  }
}

TEST_CASE_TEMPLATE("generate: the noise has the size that is documented and is drawn after the matrix", T, float,
                   double) {
  for (const Rng rng : {Rng::philox, Rng::torch}) {
    const GenerateOptions clean{.rows = 120, .cols = 80, .sigma = {1, 0.5}, .seed = 2, .rng = rng};
    GenerateOptions noisy = clean;
    noisy.noise = 0.125;
    const Matrix<T> A = generate<T>(clean), B = generate<T>(noisy);
    Matrix<double> E = gen_check::widened(B);
    for (Index j = 0; j < 80; ++j)
      for (Index i = 0; i < 120; ++i) E(i, j) -= static_cast<double>(A(i, j));
    const double frobenius = lowrank::frobenius_norm<double>(E);
    CHECK(frobenius == doctest::Approx(0.125 * std::sqrt(80.0)).epsilon(0.05));
    const double spectral = lowrank::thin_svd<double>(E, lowrank::Vectors::none).S[0];
    CHECK(spectral > 0.125);
    CHECK(spectral < 0.25);
  }
  // torch: W + 0.5/√4·randn(4, 5) with both randn from one generator.
  const Matrix<T> C = generate<T>({.rows = 4, .cols = 5, .noise = 0.5, .seed = 3, .rng = Rng::torch});
  lowrank::TorchGenerator generator(3);
  std::vector<T> plain(20), noise(20);
  generator.normal(plain);
  generator.normal(noise);
  const T scale = static_cast<T>(0.5 / std::sqrt(5.0));
  for (std::size_t i = 0; i < 20; ++i) plain[i] += scale * noise[i];
  CHECK(row_order(C) == plain);
}

TEST_CASE_TEMPLATE("generate: the same bits for any number of threads", T, float, double) {
  const Index shapes[][2] = {{700, 600}, {1300, 90}, {90, 1300}};
  for (const auto& [rows, cols] : shapes)
    for (const GenerateOptions& options : kinds(rows, cols)) {
      Matrix<T> one;
      {
        const gen_check::Threads threads(1);
        one = generate<T>(options);
      }
      for (const int count : {2, 3, 5}) {
        CAPTURE(rows);
        CAPTURE(count);
        const gen_check::Threads threads(count);
        CHECK(same_bits(generate<T>(options), one));
        CHECK(lowrank::threads() == count);
      }
    }
}

TEST_CASE_TEMPLATE("generate: a matrix of several blocks is the one made whole", T, float, double) {
  // 2²¹ entries are a block: 3 blocks of 419 rows.
  const Index rows = 1100, cols = 5000;
  for (const GenerateOptions& options : {GenerateOptions{.rows = rows, .cols = cols, .seed = 8},
                                         {.rows = rows, .cols = cols, .seed = 8, .rng = Rng::torch},
                                         {.rows = rows, .cols = cols, .sigma = {1, 1e-3}, .noise = 0.1, .seed = 8}}) {
    lowrank::MatrixSource<T> source(options);
    CHECK(source.rows() == rows);
    CHECK(source.cols() == cols);
    CHECK(source.block_rows() == 419);
    const Matrix<T> whole = generate<T>(options);
    Index seen = 0;
    bool equal = true;
    while (source.next_row() < rows) {
      CHECK(source.next_row() == seen);
      const auto block = source.next();
      CHECK(block.order() == lowrank::Order::row_major);
      CHECK(block.ld() == cols);
      for (Index i = 0; i < block.rows(); ++i)
        for (Index j = 0; j < cols; ++j) equal = equal && block(i, j) == whole(seen + i, j);
      seen += block.rows();
    }
    CHECK(equal);
    CHECK(seen == rows);
    CHECK(source.next().rows() == 0);
  }
  const Matrix<T> B = generate<T>({.rows = rows, .cols = cols, .seed = 42, .rng = Rng::torch});
  std::vector<T> wanted(static_cast<std::size_t>(rows * cols));
  lowrank::TorchGenerator(42).normal(wanted);
  CHECK(row_order(B) == wanted);
}

TEST_CASE("generate: seeds of 64 bits") {
  const auto made = [](std::uint64_t seed) {
    return generate<double>({.rows = 3, .cols = 3, .rank = 1, .seed = seed});
  };
  CHECK(same_bits(made(1), made(1)));
  CHECK_FALSE(same_bits(made(1), made(2)));
  CHECK_FALSE(same_bits(made(1), made((std::uint64_t{1} << 32) + 1)));
  CHECK_FALSE(same_bits(made(1), made((std::uint64_t{1} << 63) + 1)));
}

TEST_CASE_TEMPLATE("generate: named matrices, and empty shapes of each kind", T, float, double) {
  CHECK(same_bits(generate<T>({.rows = 30, .cols = 20, .name = "gks"}), lowrank::named_matrix<T>("gks", 30, 20)));
  const Index shapes[][2] = {{0, 0}, {0, 5}, {5, 0}};
  for (const auto& [rows, cols] : shapes)
    for (const Rng rng : {Rng::philox, Rng::torch}) {
      CHECK(generate<T>({.rows = rows, .cols = cols, .noise = 1, .rng = rng}).rows() == rows);
      CHECK(generate<T>({.rows = rows, .cols = cols, .sigma = {}, .rng = rng}).cols() == cols);
      CHECK(generate<T>({.rows = rows, .cols = cols, .name = "ones"}).size() == 0);
    }
}

TEST_CASE("generate: what contradicts itself is refused with its values") {
  const auto wrong = [](const GenerateOptions& options, const char* expected) {
    const std::string said = refusal([&] { generate<double>(options); });
    CAPTURE(said);
    CHECK(contains(said, expected));
  };
  wrong({.rows = -1, .cols = 3}, "-1x3");
  wrong({.rows = 4, .cols = 3, .rank = 0}, "rank 0 is not between 1 and 3");
  wrong({.rows = 4, .cols = 3, .rank = 4}, "rank 4 is not between 1 and 3");
  wrong({.rows = 4, .cols = 3, .rank = -2}, "rank -2");
  wrong({.rows = 4, .cols = 3, .sigma = {1, 1, 1, 1}}, "4 are given");
  wrong({.rows = 4, .cols = 3, .sigma = {1, -1}}, "singular value 1 is -1");
  wrong({.rows = 4, .cols = 3, .sigma = {std::nan("")}}, "singular value 0 is nan");
  wrong({.rows = 4, .cols = 3, .noise = -1}, "noise is -1");
  wrong({.rows = 4, .cols = 3, .noise = HUGE_VAL}, "noise is inf");
  wrong({.rows = 4, .cols = 3, .rank = 1, .name = "ones"}, "takes no rank");
  wrong({.rows = 4, .cols = 3, .sigma = {1}, .name = "ones"}, "takes no spectrum");
  wrong({.rows = 4, .cols = 3, .name = "one"}, "'one'");
}

TEST_CASE("generate: what cannot fit in memory is an error that says how much is wanted") {
  const Index huge = Index{1} << 30;
  const std::vector<double> sigma(1 << 14, 1.0);
  try {
    lowrank::MatrixSource<double> source({.rows = huge, .cols = huge, .sigma = sigma});
    FAIL("16 TiB of singular vectors were accepted");
  } catch (const lowrank::Error& error) {
    CHECK(contains(error.what(), "262144.00 GiB"));
    CHECK(contains(error.what(), "16384 given singular values"));
  }
}
