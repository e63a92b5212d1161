#include "guarded_device.hpp"

#include <fmt/core.h>
#include <sys/mman.h>

#include <bit>
#include <cstring>
#include <limits>
#include <lowrank/core/error.hpp>
#include <lowrank/core/primitives.hpp>
#include <lowrank/core/training.hpp>
#include <map>
#include <mutex>
#include <optional>
#include <set>

using namespace lowrank;

namespace {

constexpr std::size_t page = 4096;

/// The live pieces of memory, by address.
class Pieces {
 public:
  std::shared_ptr<void> add(Index bytes) {
    const std::size_t size = (static_cast<std::size_t>(bytes) + page - 1) / page * page;
    void* begin = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (begin == MAP_FAILED) throw Error(fmt::format("guarded: {} bytes are not to be had", bytes));
    const std::scoped_lock lock(busy_);
    sizes_[begin] = size;
    return {begin, [this](void* piece) { remove(piece); }};
  }

  /// The piece that an address lies in. Throws Error when it lies in none: it is the host's.
  std::pair<void*, std::size_t> containing(const void* address) {
    const std::scoped_lock lock(busy_);
    auto after = sizes_.upper_bound(const_cast<void*>(address));
    if (after != sizes_.begin()) {
      const auto& [begin, size] = *--after;
      if (static_cast<const char*>(address) < static_cast<const char*>(begin) + size) return {begin, size};
    }
    throw Error("guarded: a primitive was given memory that is not the device's");
  }

 private:
  void remove(void* piece) {
    const std::scoped_lock lock(busy_);
    munmap(piece, sizes_.at(piece));
    sizes_.erase(piece);
  }

  std::mutex busy_;
  std::map<void*, std::size_t> sizes_;
};

Pieces& pieces() {
  static auto* const all = new Pieces;  // Matrices in static storage may outlive everything.
  return *all;
}

/// Memory that is open while this lives. Null pointers are passed over.
class Opened {
 public:
  explicit Opened(std::initializer_list<const void*> addresses) {
    for (const void* address : addresses)
      if (address != nullptr) open_.insert(pieces().containing(address));
    for (const auto& [begin, size] : open_) mprotect(begin, size, PROT_READ | PROT_WRITE);
  }
  ~Opened() {
    for (const auto& [begin, size] : open_) mprotect(begin, size, PROT_NONE);
  }
  Opened(const Opened&) = delete;
  Opened& operator=(const Opened&) = delete;

 private:
  std::set<std::pair<void*, std::size_t>> open_;
};

template <class T>
MatrixView<T> here(const MatrixView<T>& X) {
  if (!X.empty() && &X.device() != &guarded_device())
    throw Error(fmt::format("guarded: a primitive was given a matrix on {}", X.device().name()));
  return {X.data(), X.rows(), X.cols(), X.ld(), X.order()};
}
template <class T>
const void* address(const MatrixView<T>& X) {
  return X.empty() ? nullptr : X.data();
}

ProductCounts products;
Index memory_limit = std::numeric_limits<Index>::max();
std::vector<std::function<void()>>* recording = nullptr;  ///< set while work is recorded

void refuse_while_recording(const char* what) {
  if (recording != nullptr) throw Error(fmt::format("guarded: {} while work is recorded", what));
}

/// Ten bits of mantissa.
Matrix<float> rounded_to_tf32(MatrixView<const float> X) {
  Matrix<float> rounded = Matrix<float>::copy_of(X);
  for (Index i = 0; i < rounded.size(); ++i) {
    float& x = rounded.data()[i];
    if (std::isfinite(x)) x = std::bit_cast<float>((std::bit_cast<std::uint32_t>(x) + 0x1000U) & 0xffffe000U);
  }
  return rounded;
}

template <Real T>
class GuardedPrimitives final : public Primitives<T> {
 public:
  void multiply(T alpha, MatrixView<const T> A, MatrixView<const T> B, T beta, MatrixView<T> C) const override {
    refuse_while_recording("a product");
    const Opened opened{address(A), address(B), address(C)};
    ++products.all;
    host().multiply(alpha, here(A), here(B), beta, here(C));
  }
  bool multiplies_rounded(Rounding to) const override {
    return (std::is_same_v<T, float> && to == Rounding::to_tf32) || host().multiplies_rounded(to);
  }
  void multiply_rounded(Rounding to, MatrixView<const T> A, MatrixView<const float> X,
                        MatrixView<float> C) const override {
    refuse_while_recording("a product");
    const Opened opened{address(A), address(X), address(C)};
    ++products.all;
    if constexpr (std::is_same_v<T, float>)
      if (to == Rounding::to_tf32) {
        ++products.in_tf32;
        const Matrix<float> a = rounded_to_tf32(here(A)), x = rounded_to_tf32(here(X));
        return host().multiply(1, a, x, 0, here(C));
      }
    host().multiply_rounded(to, here(A), here(X), here(C));
  }
  bool fuses_normal(MatrixView<const T> A, Index columns, bool rounded) const override {
    return host().fuses_normal(here(A), columns, rounded);
  }
  void multiply_normal(MatrixView<const T> A, MatrixView<const T> X, MatrixView<T> Y, MatrixView<T> Z) const override {
    refuse_while_recording("a product");
    const Opened opened{address(A), address(X), address(Y), address(Z)};
    products.all += 2;
    host().multiply_normal(here(A), here(X), here(Y), here(Z));
  }
  void multiply_normal_rounded(MatrixView<const T> A, MatrixView<const float> X, MatrixView<float> Y,
                               MatrixView<float> Z) const override {
    refuse_while_recording("a product");
    const Opened opened{address(A), address(X), address(Y), address(Z)};
    products.all += 2;
    host().multiply_normal_rounded(here(A), here(X), here(Y), here(Z));
  }
  Matrix<double> gram(MatrixView<const T> X) const override {
    return read({address(X)}, [&] { return host().gram(here(X)); });
  }
  void solve_upper_right(MatrixView<T> X, MatrixView<const double> R) const override {
    return read({address(X)}, [&] { host().solve_upper_right(here(X), R); });
  }
  Matrix<double> householder_qr(MatrixView<T> X) const override {
    return read({address(X)}, [&] { return host().householder_qr(here(X)); });
  }
  PivotedQr<T> pivoted_qr(MatrixView<const T> A, double tolerance) const override {
    return read({address(A)}, [&] { return host().pivoted_qr(here(A), tolerance); });
  }
  std::optional<Matrix<double>> upper_inverse(MatrixView<const T> R) const override {
    std::optional<Matrix<double>> inverse = read({address(R)}, [&] { return host().upper_inverse(here(R)); });
    if (inverse) inverse = inverse->to(guarded_device());
    return inverse;
  }
  std::optional<LuFactors> lu_in_float(MatrixView<const T> A, double scale) const override {
    std::optional<LuFactors> lu = read({address(A)}, [&] { return host().lu_in_float(here(A), scale); });
    if (lu) lu->LU = lu->LU.to(guarded_device());
    return lu;
  }
  void lu_solve(const LuFactors& lu, Transpose transpose, MatrixView<T> X) const override {
    const LuFactors there{lu.LU.to(host_device()), lu.pivots, lu.scale};
    return read({address(X)}, [&] { host().lu_solve(there, transpose, here(X)); });
  }
  ThinSvd<T> thin_svd(MatrixView<const T> A, Vectors vectors, SvdDriver first) const override {
    ThinSvd<T> svd = read({address(A)}, [&] { return host().thin_svd(here(A), vectors, first); });
    svd.U = svd.U.to(guarded_device());
    svd.V = svd.V.to(guarded_device());
    return svd;
  }
  double frobenius_norm(MatrixView<const T> X) const override {
    return read({address(X)}, [&] { return host().frobenius_norm(here(X)); });
  }
  std::vector<double> column_norms(MatrixView<const T> X) const override {
    return read({address(X)}, [&] { return host().column_norms(here(X)); });
  }
  std::optional<Entry> first_nonfinite(MatrixView<const T> X) const override {
    return read({address(X)}, [&] { return host().first_nonfinite(here(X)); });
  }
  std::vector<Entry> largest_in_columns(MatrixView<const T> X) const override {
    return read({address(X)}, [&] { return host().largest_in_columns(here(X)); });
  }
  void scale_columns(MatrixView<T> X, const std::vector<double>& by) const override {
    read({address(X)}, [&] { host().scale_columns(here(X), by); });
  }
  void add(T alpha, MatrixView<const T> X, MatrixView<T> Y) const override {
    read({address(X), address(Y)}, [&] { host().add(alpha, here(X), here(Y)); });
  }
  void copy(MatrixView<const T> from, MatrixView<T> to) const override {
    read({address(from), address(to)}, [&] { host().copy(here(from), here(to)); });
  }
  void fill(MatrixView<T> X, T value) const override {
    read({address(X)}, [&] { host().fill(here(X), value); });
  }
  void fill_normal(MatrixView<T> X, std::uint64_t seed, std::uint64_t stream, Index first_row) const override {
    read({address(X)}, [&] { host().fill_normal(here(X), seed, stream, first_row); });
  }

 private:
  static const Primitives<T>& host() { return host_device().primitives<T>(); }
  template <class Work>
  static auto read(std::initializer_list<const void*> addresses, const Work& work) {
    refuse_while_recording("work that is no step of training");
    const Opened opened(addresses);
    return work();
  }
};

template <Real T>
class GuardedTraining final : public TrainingPrimitives<T> {
 public:
  void advance(TrainingClock* clock, Index batch) const override {
    launch([=] {
      const Opened opened{clock};
      host().advance(clock, batch);
    });
  }
  void gather(const ByteImages& images, const std::int32_t* order, const TrainingClock* clock, MatrixView<T> X,
              std::int32_t* labels) const override {
    launch([=] {
      const Opened opened{images.pixels, images.labels, order, clock, address(X), labels};
      host().gather(images, order, clock, here(X), labels);
    });
  }
  void linear_forward(T alpha, MatrixView<const T> X, MatrixView<const T> W, MatrixView<const T> b,
                      MatrixView<const T> H, MatrixView<const T> B, Activation f, MatrixView<T> Y) const override {
    launch([=] {
      const Opened opened{address(X), address(W), address(b), address(H), address(B), address(Y)};
      host().linear_forward(alpha, here(X), here(W), here(b), here(H), here(B), f, here(Y));
    });
  }
  Index scratch_size(Index batch, Index out, Index in) const override { return host().scratch_size(batch, out, in); }
  void linear_backward(const LinearBackward<T>& layer, const Optimizer& optimizer, const TrainingClock* clock,
                       std::span<T> scratch) const override {
    launch([=] {
      const Opened opened{address(layer.dY),
                          address(layer.X),
                          address(layer.W),
                          address(layer.weight.m),
                          address(layer.weight.v),
                          address(layer.weight.value),
                          address(layer.bias.m),
                          address(layer.bias.v),
                          address(layer.bias.value),
                          address(layer.dH),
                          address(layer.A),
                          address(layer.dX),
                          clock,
                          scratch.data()};
      const LinearBackward<T> there{.dY = here(layer.dY),
                                    .X = here(layer.X),
                                    .W = here(layer.W),
                                    .weight = here_all(layer.weight),
                                    .bias = here_all(layer.bias),
                                    .dH = here(layer.dH),
                                    .A = here(layer.A),
                                    .dX = here(layer.dX),
                                    .input = layer.input};
      host().linear_backward(there, optimizer, clock, scratch);
    });
  }
  void update(MatrixView<const T> L, MatrixView<const T> R, const Trained<T>& parameters, const Optimizer& optimizer,
              const TrainingClock* clock, std::span<T> scratch) const override {
    launch([=] {
      const Opened opened{
          address(L), address(R),    address(parameters.value), address(parameters.m), address(parameters.v),
          clock,      scratch.data()};
      host().update(here(L), here(R), here_all(parameters), optimizer, clock, scratch);
    });
  }
  void softmax_cross_entropy(MatrixView<const T> logits, const std::int32_t* labels, MatrixView<T> gradient, T* losses,
                             Index capacity, const TrainingClock* clock) const override {
    launch([=] {
      const Opened opened{address(logits), labels, address(gradient), losses, clock};
      host().softmax_cross_entropy(here(logits), labels, here(gradient), losses, capacity, clock);
    });
  }
  void count_wrong(MatrixView<const T> logits, const std::int32_t* labels, std::int64_t* wrong) const override {
    launch([=] {
      const Opened opened{address(logits), labels, wrong};
      host().count_wrong(here(logits), labels, wrong);
    });
  }

 private:
  static const TrainingPrimitives<T>& host() { return host_device().training<T>(); }
  static Trained<T> here_all(const Trained<T>& trained) {
    return {here(trained.value), here(trained.m), here(trained.v)};
  }
  static void launch(std::function<void()> work) {
    if (recording != nullptr)
      recording->push_back(std::move(work));
    else
      work();
  }
};

class Replay final : public Recording {
 public:
  explicit Replay(std::vector<std::function<void()>> work) : work_(std::move(work)) {}
  void run() override {
    for (const auto& each : work_) each();
  }

 private:
  std::vector<std::function<void()>> work_;
};

class GuardedDevice final : public Device {
 public:
  std::string name() const override { return "guarded"; }
  std::shared_ptr<void> allocate(Index bytes) override {
    refuse_while_recording("an allocation");
    if (bytes <= 0) return nullptr;
    if (bytes > memory_limit)
      throw Error(fmt::format("guarded: {} bytes are wanted and {} are there", bytes, memory_limit));
    return pieces().add(bytes);
  }
  Index available_memory() const override { return std::min(memory_limit, lowrank::available_memory()); }
  void upload(const void* from, void* to, const Runs& runs) override {
    refuse_while_recording("an upload");
    if (runs.bytes <= 0 || runs.count <= 0) return;
    const Opened opened{to};
    host_device().upload(from, to, runs);
  }
  void download(const void* from, void* to, const Runs& runs) override {
    refuse_while_recording("a download");
    if (runs.bytes <= 0 || runs.count <= 0) return;
    const Opened opened{from};
    host_device().download(from, to, runs);
  }
  void synchronize() override { refuse_while_recording("waiting"); }
  std::unique_ptr<Recording> record(std::function<void()> work) override {
    std::vector<std::function<void()>> steps;
    recording = &steps;
    try {
      work();
    } catch (...) {
      recording = nullptr;
      throw;
    }
    recording = nullptr;
    return std::make_unique<Replay>(std::move(steps));
  }

 protected:
  const Primitives<float>& primitives_f32() const override { return f32_; }
  const Primitives<double>& primitives_f64() const override { return f64_; }
  const TrainingPrimitives<float>& training_f32() const override { return training_f32_; }
  const TrainingPrimitives<double>& training_f64() const override { return training_f64_; }

 private:
  GuardedPrimitives<float> f32_;
  GuardedPrimitives<double> f64_;
  GuardedTraining<float> training_f32_;
  GuardedTraining<double> training_f64_;
};

}  // namespace

lowrank::Device& guarded_device() {
  static GuardedDevice device;
  return device;
}

LimitedMemory::LimitedMemory(lowrank::Index bytes) { memory_limit = bytes; }
LimitedMemory::~LimitedMemory() { memory_limit = std::numeric_limits<Index>::max(); }

ProductCounts guarded_products() { return products; }
