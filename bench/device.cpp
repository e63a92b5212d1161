#include <fmt/core.h>

#include <algorithm>
#include <lowrank/svd/rank.hpp>
#include <lowrank/svd/svd.hpp>

#include "benchmarks.hpp"
#include "counted.hpp"
#include "families.hpp"

namespace lowrank::bench {
namespace {

/// What a device does at best: the product of two square matrices, and the sum of squares of a matrix as a reading.
template <Real T>
Rates rates_of(Device& device) {
  constexpr Index side = 4096;
  Matrix<T> A(side, side, device), B(side, side, device), C(side, side, device);
  fill_normal<T>(A, 1, 1);
  fill_normal<T>(B, 1, 2);
  const auto best = [&](const std::function<void()>& work) {
    work();
    const Samples samples = samples_of(
        [&] {
          work();
          device.synchronize();
        },
        {.repeats = 5, .budget = 5});
    return samples.least();
  };
  const double n = static_cast<double>(side);
  return {2 * n * n * n / best([&] { multiply<T>(T(1), A, B, T(0), C); }),
          n * n * sizeof(T) / best([&] { static_cast<void>(frobenius_norm<T>(A)); })};
}

struct Row {
  std::string what;
  std::function<void()> work;
  std::function<double()> error;
  std::function<double()> floor;
};

void report(std::vector<Row>& rows, const std::string& shape, const std::string& dtype, const Options& options,
            Table& table, Json& json) {
  std::vector<Contender> contenders;
  for (Row& row : rows) contenders.push_back({row.work});
  alternate(contenders, {.repeats = options.repeats});
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const Samples& samples = contenders[i].samples;
    const double error = rows[i].error(), floor = rows[i].floor();
    table.add({shape, dtype, rows[i].what, error < 0 ? "" : fmt::format("{:.3e}", error), samples_text(samples),
               floor > 0 ? seconds_text(floor) : "", floor > 0 ? fmt::format("{:.1f}", samples.median() / floor) : ""});
    json.push_back({{"shape", shape},
                    {"dtype", dtype},
                    {"what", rows[i].what},
                    {"error", error},
                    {"seconds", as_json(samples)},
                    {"floor", floor}});
  }
}

/// The same work by the CPU and by the device, on data that lie there, and on data that have to be moved.
template <Real T>
void run(Device& device, Index size, Index rank, const Options& options, Table& table, Json& json) {
  const TestMatrix<T> matrix = make_decaying<T>(size, size, std::min<Index>(200, size), options.seed);
  const Matrix<T> there = matrix.A.to(device);
  const DenseOperator<T> on_cpu(matrix.A.view()), on_device(there.view());
  const double bytes = static_cast<double>(matrix.A.size()) * sizeof(T);
  CountedOperator<T> cpu(on_cpu, bytes, rates_for<T>(bytes)), counted(on_device, bytes, rates_of<T>(device));
  Svd<T> by_cpu, by_device, in_tf32, moved;
  RankResult rank_by_cpu, rank_by_device;
  const SvdOptions plain{.seed = options.seed};
  SvdOptions elsewhere = plain;
  elsewhere.device = &device;
  SvdOptions with_tf32 = plain;
  with_tf32.tf32 = true;
  const auto error = [&](const Svd<T>& svd) {
    const Matrix<T> U = svd.U.to(host_device()), V = svd.V.to(host_device());
    return measured_error<T>(matrix.A.view(), U.view(), svd.S.data(), V.view(), matrix.norm);
  };
  const auto none = [] { return -1.0; };
  const std::string name = device.name();
  std::vector<Row> rows{
      {fmt::format("svd --rank {}: cpu", rank),
       [&] { cpu.reset(), by_cpu = truncated_svd<T>(cpu, {.rank = rank}, plain); }, [&] { return error(by_cpu); },
       [&] { return cpu.floor(); }},
      {fmt::format("svd --rank {}: {}, data there", rank, name),
       [&] { counted.reset(), by_device = truncated_svd<T>(counted, {.rank = rank}, plain), device.synchronize(); },
       [&] { return error(by_device); }, [&] { return counted.floor(); }},
      {fmt::format("svd --rank {}: {}, data on the host", rank, name),
       [&] { moved = truncated_svd<T>(on_cpu, {.rank = rank}, elsewhere); }, [&] { return error(moved); }, none},
      {"rank: cpu", [&] { rank_by_cpu = matrix_rank<T>(on_cpu); }, none, none},
      {fmt::format("rank: {}, data there", name), [&] { rank_by_device = matrix_rank<T>(on_device); }, none, none},
      {"singular values: cpu", [&] { static_cast<void>(thin_svd<T>(matrix.A, Vectors::none)); }, none, none},
      {fmt::format("singular values: {}, data there", name),
       [&] { static_cast<void>(thin_svd<T>(there, Vectors::none)); }, none, none}};
  if (std::is_same_v<T, float> && multiplies_rounded<T>(device, Rounding::to_tf32))
    rows.insert(rows.begin() + 2, {fmt::format("svd --rank {} --tf32: {}, data there", rank, name),
                                   [&] {
                                     in_tf32 = truncated_svd<T>(on_device, {.rank = rank}, with_tf32);
                                     device.synchronize();
                                   },
                                   [&] { return error(in_tf32); }, none});
  report(rows, shape_text(size, size), std::string(dtype_name<T>()), options, table, json);
  if (rank_by_cpu.rank != rank_by_device.rank)
    fmt::print("ranks differ: {} by the cpu ({}), {} by {} ({})\n", rank_by_cpu.rank, rank_by_cpu.reason,
               rank_by_device.rank, name, rank_by_device.reason);
}

}  // namespace

Json device_benchmark(const Options& options) {
  Device& device = Device::open(options.device);
  Table table({"shape", "dtype", "work", "error", "time (least - greatest)", "floor", "time/floor"});
  Json json = Json::array();
  for (const std::string& dtype : or_default<std::string>(options.dtypes, {"f32", "f64"}))
    for (const Index size : or_default<Index>(options.sizes, {1024, 2048, 4096}))
      for (const Index rank : or_default<Index>(options.ranks, {100}))
        for_dtype(dtype, [&]<class T>() { run<T>(device, size, std::min(rank, size), options, table, json); });
  fmt::print(
      "\nThe CPU and {} in turns, on 0.97^i (200 terms) plus noise 1e-3. Each floor by the rates of its device.\n\n",
      device.name());
  table.print();
  return json;
}

}  // namespace lowrank::bench
