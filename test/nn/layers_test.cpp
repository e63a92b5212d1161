#include <array>
#include <instruction_sets.hpp>
#include <lowrank/cpu/host_training.hpp>
#include <lowrank/nn/storage.hpp>

#include "nn_check.hpp"

using namespace nn_check;

namespace {

/// One layer with all that its way back touches, in T and, computed entry by entry, in double.
template <Real T>
struct LayerCase {
  Index batch, out, in, rank;
  Matrix<T> X, W, b, H, B, dY, dH, A, Y, dX, mW, vW, mb, vb;

  LayerCase(Index batch_, Index out_, Index in_, Index rank_)
      : batch(batch_),
        out(out_),
        in(in_),
        rank(rank_),
        X(make(batch, in, 1)),
        W(make(out, in, 2)),
        b(make(1, out, 3)),
        H(make(batch, rank, 4)),
        B(make(rank, out, 5)),
        dY(make(batch, out, 6)),
        dH(make(batch, rank, 7)),
        A(make(rank, in, 8)),
        Y(make(batch, out, 9)),
        dX(make(batch, in, 10)),
        mW(make(out, in, 11)),
        vW(make(out, in, 12)),
        mb(make(1, out, 13)),
        vb(make(1, out, 14)) {
    for (Matrix<T>* moment : {&vW, &vb}) {
      Matrix<T> squares = to_host<T>(*moment);
      for (Index k = 0; k < squares.size(); ++k) squares.data()[k] *= squares.data()[k];
      from_host<T>(squares.data(), *moment);
    }
  }
  /// The same on the host.
  explicit LayerCase(const LayerCase& c)
      : batch(c.batch),
        out(c.out),
        in(c.in),
        rank(c.rank),
        X(to_host<T>(c.X)),
        W(to_host<T>(c.W)),
        b(to_host<T>(c.b)),
        H(to_host<T>(c.H)),
        B(to_host<T>(c.B)),
        dY(to_host<T>(c.dY)),
        dH(to_host<T>(c.dH)),
        A(to_host<T>(c.A)),
        Y(to_host<T>(c.Y)),
        dX(to_host<T>(c.dX)),
        mW(to_host<T>(c.mW)),
        vW(to_host<T>(c.vW)),
        mb(to_host<T>(c.mb)),
        vb(to_host<T>(c.vb)) {}
  static Matrix<T> make(Index rows, Index cols, std::uint64_t seed) {
    Matrix<T> made = padded_rows<T>(rows, cols, check::device());
    fill_normal<T>(made, seed, 2);
    return made;
  }
  static MatrixView<T> column(Matrix<T>& row) {
    return {row.data(), row.cols(), 1, std::max<Index>(1, row.cols()), Order::col_major, row.device()};
  }
};

/// A clock at `step`, and scratch memory for a layer, on the device.
template <Real T>
struct Aside {
  Aside(std::int64_t step, const LayerCase<T>& c)
      : clock(1, check::device()),
        scratch(check::device().training<T>().scratch_size(c.batch, c.out, c.in), check::device()) {
    clock.upload(std::array{TrainingClock{step, 0}});
  }
  std::span<T> all() { return {scratch.data(), static_cast<std::size_t>(scratch.size())}; }

  Buffer<TrainingClock> clock;
  Buffer<T> scratch;
};

/// Sets what ReLU would: about half of the entries to zero, all of the first column and none of the first row.
template <Real T>
void drop_half(Matrix<T>& values) {
  Matrix<T> here = to_host<T>(values);
  for (Index i = 0; i < here.rows(); ++i)
    for (Index j = 0; j < here.cols(); ++j)
      if (j == 0 || (i > 0 && (i * 7 + j * 5) % 11 < 6)) here(i, j) = 0;
  from_host<T>(here.data(), values);
}

template <Real T>
Matrix<T> in_columns(const Matrix<T>& W) {
  Matrix<T> columns = padded_columns<T>(W.rows(), W.cols(), check::device());
  copy<T>(W, columns);
  return columns;
}

template <Real T>
double forward_error(LayerCase<T>& there, Activation f, bool by_columns = false) {
  const TrainingPrimitives<T>& device = check::device().training<T>();
  const Matrix<T> columns = in_columns(there.W);
  device.linear_forward(T(0.5), there.X, by_columns ? columns.view() : there.W.view(), LayerCase<T>::column(there.b),
                        there.H, there.B, f, there.Y);
  const LayerCase<T> c(there);
  double worst = 0;
  for (Index i = 0; i < c.batch; ++i)
    for (Index o = 0; o < c.out; ++o) {
      double y = c.b(0, o), size = std::abs(y);
      for (Index j = 0; j < c.in; ++j) {
        const double term = 0.5 * c.X(i, j) * c.W(o, j);
        y += term;
        size += std::abs(term);
      }
      for (Index k = 0; k < c.rank; ++k) y += static_cast<double>(c.H(i, k)) * c.B(k, o);
      if (f == Activation::relu) y = std::max(y, 0.0);
      worst = std::max(worst, std::abs(y - c.Y(i, o)) / size);
    }
  return worst;
}

struct Adam {
  double p, m, v;
  double by_gradient;  // |dp/dg|, at most
  Adam(double p_, double m_, double v_, double g, const Optimizer& o, double t) {
    m = m_ + (g - m_) * (1 - o.beta1);
    v = o.beta2 * v_ + (1 - o.beta2) * g * g;
    if (o.rule == UpdateRule::sgd) {
      p = p_ - o.lr * g;
      by_gradient = o.lr;
      return;
    }
    const double step = o.lr / (1 - std::pow(o.beta1, t)) / (std::sqrt(v / (1 - std::pow(o.beta2, t))) + o.epsilon);
    p = p_ - step * m;
    by_gradient = step * (1 - o.beta1 + (v > 0 ? std::abs(m * g) * (1 - o.beta2) / v : 0));
  }
};

/// The largest errors of dX and of W, m, v, b after linear_backward, relative to the sizes of their terms.
template <Real T>
double backward_error(LayerCase<T>& there, const Optimizer& optimizer, bool trained, bool wanted,
                      bool by_columns = false) {
  const LayerCase<T> before(there);
  const Matrix<T>&W = before.W, &m = before.mW, &v = before.vW, &b = before.b, &mb = before.mb, &vb = before.vb;
  Aside<T> aside(4, there);
  const std::array<Matrix<T>*, 3> by_rows{&there.W, &there.mW, &there.vW};
  std::vector<Matrix<T>> columns;
  for (Matrix<T>* each : by_rows) columns.push_back(in_columns(*each));
  LinearBackward<T> layer{.dY = there.dY, .X = there.X, .W = by_columns ? columns[0].view() : there.W.view()};
  if (trained) {
    if (by_columns)
      layer.weight = {columns[0], columns[1], columns[2]};
    else
      layer.weight = {there.W, there.mW, there.vW};
    layer.bias = {LayerCase<T>::column(there.b), LayerCase<T>::column(there.mb), LayerCase<T>::column(there.vb)};
  }
  if (there.rank > 0) {
    layer.dH = there.dH;
    layer.A = there.A;
  }
  if (wanted) layer.dX = there.dX;
  check::device().training<T>().linear_backward(layer, optimizer, aside.clock.data(), aside.all());
  for (std::size_t i = 0; by_columns && i < by_rows.size(); ++i) copy<T>(columns[i], *by_rows[i]);
  const LayerCase<T> c(there);

  double worst = 0;
  const double count = static_cast<double>(c.batch + c.out + c.rank);
  if (wanted)
    for (Index i = 0; i < c.batch; ++i)
      for (Index j = 0; j < c.in; ++j) {
        double dx = 0;
        for (Index o = 0; o < c.out; ++o) dx += static_cast<double>(c.dY(i, o)) * W(o, j);
        for (Index k = 0; k < c.rank; ++k) dx += static_cast<double>(c.dH(i, k)) * c.A(k, j);
        if (!(c.X(i, j) > 0)) dx = 0;
        worst = std::max(worst, std::abs(dx - c.dX(i, j)) / count);
      }
  for (Index o = 0; o < c.out; ++o) {
    double gb = 0;
    for (Index i = 0; i < c.batch; ++i) gb += c.dY(i, o);
    const Adam bias(b(0, o), mb(0, o), vb(0, o), gb, optimizer, 5);
    worst = std::max(worst, std::abs((trained ? bias.p : b(0, o)) - c.b(0, o)));
    for (Index j = 0; j < c.in; ++j) {
      double g = 0, size = 0;
      for (Index i = 0; i < c.batch; ++i) {
        const double term = static_cast<double>(c.dY(i, o)) * c.X(i, j);
        g += term;
        size += std::abs(term);
      }
      const Adam weight(W(o, j), m(o, j), v(o, j), g, optimizer, 5);
      const double reach = 1 + weight.by_gradient * size;
      worst = std::max(worst, std::abs((trained ? weight.p : W(o, j)) - c.W(o, j)) / reach);
      if (!trained || optimizer.rule == UpdateRule::sgd) continue;
      worst = std::max(worst, std::abs(weight.m - c.mW(o, j)) / count);
      worst = std::max(worst, std::abs(weight.v - c.vW(o, j)) / (count * count));
    }
  }
  return worst;
}

constexpr Index shapes[][4] = {{10, 100, 78, 1}, {1, 1, 1, 0},      {3, 10, 200, 2},  {10, 70, 33, 0},
                               {17, 129, 64, 3}, {32, 8, 515, 1},   {64, 75, 40, 2},  {128, 20, 33, 1},
                               {129, 75, 40, 2}, {150, 300, 31, 0}, {129, 15, 33, 1}, {300, 9, 515, 2},
                               {257, 70, 16, 1}};

}  // namespace

TEST_CASE_TEMPLATE("a linear layer's way forward agrees with the sums entry by entry", T, float, double) {
  const double eps = std::numeric_limits<T>::epsilon();
  for_each_instruction_set([&] {
    for (const auto& [batch, out, in, rank] : shapes)
      for (const Activation f : {Activation::identity, Activation::relu}) {
        CAPTURE(batch);
        CAPTURE(out);
        CAPTURE(in);
        LayerCase<T> layer(batch, out, in, rank);
        CHECK(forward_error(layer, f) < 20 * eps * std::sqrt(static_cast<double>(in)));
      }
  });
}

TEST_CASE_TEMPLATE("a linear layer's way back agrees with the sums entry by entry", T, float, double) {
  const double eps = std::numeric_limits<T>::epsilon();
  for_each_instruction_set([&] {
    for (const auto& [batch, out, in, rank] : shapes)
      for (const UpdateRule rule : {UpdateRule::adam, UpdateRule::sgd})
        for (const auto& [trained, wanted] : {std::pair(true, true), {true, false}, {false, true}}) {
          CAPTURE(batch);
          CAPTURE(out);
          CAPTURE(in);
          CAPTURE(trained);
          CAPTURE(wanted);
          LayerCase<T> layer(batch, out, in, rank);
          CHECK(backward_error(layer, {.rule = rule, .lr = 0.1}, trained, wanted) < 50 * eps);
        }
  });
}

TEST_CASE_TEMPLATE("zeros that ReLU has made, and weights by columns, change no result", T, float, double) {
  const double eps = std::numeric_limits<T>::epsilon();
  for_each_instruction_set([&] {
    for (const auto& [batch, out, in, rank] : shapes)
      for (const bool by_columns : {false, true}) {
        if (by_columns && !check::device().training<T>().gains_by_columns(1, 1000)) continue;
        CAPTURE(batch);
        CAPTURE(out);
        CAPTURE(in);
        CAPTURE(by_columns);
        LayerCase<T> layer(batch, out, in, rank);
        drop_half<T>(layer.X);
        drop_half<T>(layer.dY);
        CHECK(forward_error(layer, Activation::relu, by_columns) < 20 * eps * std::sqrt(static_cast<double>(in)));
        CHECK(backward_error(layer, {}, false, true, by_columns) < 50 * eps);
        for (const UpdateRule rule : {UpdateRule::adam, UpdateRule::sgd})
          for (const bool wanted : {true, false})
            CHECK(backward_error(layer, {.rule = rule, .lr = 0.1}, true, wanted, by_columns) < 50 * eps);
      }
  });
}

TEST_CASE("moments in another order than their weights are refused") {
  if (!check::device().training<float>().gains_by_columns(1, 1000)) return;
  LayerCase<float> layer(10, 70, 40, 0);
  Matrix<float> columns = in_columns(layer.W);
  Aside<float> aside(0, layer);
  const LinearBackward<float> back{.dY = layer.dY, .X = layer.X, .W = columns, .weight = {columns, layer.mW, layer.vW}};
  CHECK_THROWS_AS(check::device().training<float>().linear_backward(back, {}, aside.clock.data(), aside.all()),
                  std::invalid_argument);
}

TEST_CASE("a gradient that is not a number is not skipped") {
  LayerCase<float> layer(10, 70, 40, 0);
  fill<float>(layer.dY, 0);
  check::set_entry<float>(layer.dY, 3, 65, std::numeric_limits<float>::quiet_NaN());
  fill<float>(layer.X, 1);
  Aside<float> aside(0, layer);
  LinearBackward<float> back{.dY = layer.dY, .X = layer.X, .W = layer.W, .weight = {layer.W, layer.mW, layer.vW}};
  back.dX = layer.dX;
  check::device().training<float>().linear_backward(back, {}, aside.clock.data(), aside.all());
  CHECK(std::isnan(check::entry<float>(layer.dX, 3, 0)));
  CHECK(check::entry<float>(layer.dX, 2, 0) == 0);
  CHECK(std::isnan(check::entry<float>(layer.W, 65, 39)));
  CHECK(std::isfinite(check::entry<float>(layer.W, 64, 39)));
}

TEST_CASE("batches give the same bits with any number of threads") {
  for (const auto& [batch, out, in] : {std::array<Index, 3>{10, 300, 200}, {200, 8, 600}, {300, 70, 200}}) {
    CAPTURE(batch);
    std::vector<std::vector<float>> results;
    for (const int count : {1, 2, 3, 7}) {
      const Threads threads(count);
      LayerCase<float> layer(batch, out, in, 1);
      forward_error(layer, Activation::relu);
      backward_error(layer, {}, true, true);
      if (check::device().training<float>().gains_by_columns(1, 1000)) backward_error(layer, {}, true, true, true);
      const LayerCase<float> here(layer);
      std::vector<float> all;
      for (const Matrix<float>* each : {&here.Y, &here.dX, &here.W, &here.mW, &here.vW, &here.b})
        for (Index i = 0; i < each->rows(); ++i)
          for (Index j = 0; j < each->cols(); ++j) all.push_back((*each)(i, j));
      results.push_back(std::move(all));
    }
    for (const auto& each : results) CHECK(each == results.front());
  }
}

TEST_CASE("Adam copes with moments that are zero, tiny and huge") {
  const TrainingPrimitives<float>& device = check::device().training<float>();
  for (const float g : {0.0F, 1e-25F, 1e-12F, 1.0F, 1e10F}) {
    LayerCase<float> layer(1, 1, 40, 0);
    fill<float>(layer.mW, 0);
    fill<float>(layer.vW, 0);
    fill<float>(layer.X, 1);
    fill<float>(layer.dY, g);
    const float before = check::entry<float>(layer.W, 0, 7);
    Aside<float> aside(0, layer);
    device.update(layer.dY, layer.X, {layer.W, layer.mW, layer.vW}, {}, aside.clock.data(), aside.all());
    const Adam expected(before, 0, 0, g, {}, 1);
    CAPTURE(g);
    CHECK(check::entry<float>(layer.W, 0, 7) == doctest::Approx(expected.p).epsilon(1e-6));
  }
}

TEST_CASE("moments that have died away are zero, not subnormal") {
  const TrainingPrimitives<float>& device = check::device().training<float>();
  const float subnormal = std::numeric_limits<float>::denorm_min() * 1000;
  for (const Index batch : {Index{1}, HostTraining<float>::small_batch + 1}) {
    LayerCase<float> layer(batch, 20, 40, 0);
    fill<float>(layer.mW, subnormal);
    fill<float>(layer.vW, subnormal);
    fill<float>(layer.dY, 0);
    Aside<float> aside(100, layer);
    device.update(layer.dY, layer.X, {layer.W, layer.mW, layer.vW}, {}, aside.clock.data(), aside.all());
    CHECK(frobenius_norm<float>(layer.mW) == 0);
    CHECK(frobenius_norm<float>(layer.vW) == 0);
  }
  volatile float still = subnormal;
  CHECK(still * 0.5F > 0);  // outside nothing has changed
}
