#include "machine.hpp"

#include <cblas.h>
#include <fmt/core.h>
#include <omp.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <lowrank/core/primitives.hpp>
#include <map>
#include <string>
#include <utility>

namespace lowrank::bench {
namespace {

constexpr int rate_runs = 5;

std::map<std::pair<std::string, int>, double> product_rates;  ///< of a dtype with so many threads
std::map<std::pair<int, int>, double> reading_rates;          ///< of 2^first bytes with so many threads

template <Real T>
double square_product_rate() {
  constexpr Index n = 2048;
  Matrix<T> A(n, n), B(n, n), C(n, n);
  fill_normal<T>(A, 1, 0);
  fill_normal<T>(B, 2, 0);
  const Samples samples =
      samples_of([&] { multiply<T>(T(1), A.view(), B.view(), T(0), C); }, {.repeats = rate_runs + 1, .budget = 10});
  return 2.0 * n * n * n / samples.least();
}

// Vectors as wide as the machine has, or the additions would take longer than the loads.
#if defined(__x86_64__) && defined(__gnu_linux__)
__attribute__((target_clones("avx512f", "avx2", "default")))
#endif
std::uint64_t
xor_of(const std::uint64_t* words, Index count) {
  std::uint64_t result = 0;
  for (Index i = 0; i < count; ++i) result ^= words[i];
  return result;
}

double read_rate(double bytes) {
  const Index count = static_cast<Index>(bytes) / 8;
  Matrix<double> buffer(count, 1);
  fill<double>(buffer, 1.0);
  const auto* words = reinterpret_cast<const std::uint64_t*>(buffer.data());
  // A small buffer is read many times within one parallel region, whose start would else take longer than the reading.
  const int passes = static_cast<int>(std::max(1.0, 0x1p26 / bytes));
  volatile std::uint64_t kept = 0;
  const auto read = [&] {
    std::uint64_t result = 0;
#pragma omp parallel for reduction(^ : result) schedule(static) num_threads(threads())
    for (int part = 0; part < threads(); ++part) {
      const Index first = count * part / threads(), last = count * (part + 1) / threads();
      for (int pass = 0; pass < passes; ++pass) {
        result ^= xor_of(words + first, last - first);
        asm volatile("" ::: "memory");  // every pass is to be made
      }
    }
    kept = result;
  };
  const Samples samples = samples_of(read, {.repeats = rate_runs + 1, .least_seconds = 0.01, .budget = 10});
  return static_cast<double>(count) * 8 * passes / samples.least();
}

std::string first_value(const char* path, const std::string& key) {
  std::ifstream in(path);
  for (std::string line; std::getline(in, line);)
    if (line.starts_with(key)) return line.substr(std::min(line.size(), line.find(':') + 2));
  return "unknown";
}

std::string cache_size(int level) {
  for (int index = 0; index < 8; ++index) {
    const std::string folder = fmt::format("/sys/devices/system/cpu/cpu0/cache/index{}/", index);
    std::string found, type, size;
    if (!(std::ifstream(folder + "level") >> found)) break;
    std::ifstream(folder + "type") >> type;
    if (found == std::to_string(level) && type != "Instruction" && std::ifstream(folder + "size") >> size) return size;
  }
  return "unknown";
}

}  // namespace

double Rates::floor(double work_flops, double work_bytes) const {
  return std::max(work_flops / flops, work_bytes / bytes);
}

template <Real T>
Rates rates_for(double bytes) {
  constexpr double least = 0x1p16, most = 0x1p30;
  const int size_class = static_cast<int>(std::lround(std::log2(std::clamp(bytes, least, most))));
  double& product_rate = product_rates[{std::string(dtype_name<T>()), threads()}];
  double& reading_rate = reading_rates[{size_class, threads()}];
  if (product_rate == 0) product_rate = square_product_rate<T>();
  if (reading_rate == 0) reading_rate = read_rate(std::ldexp(1.0, size_class));
  return {product_rate, reading_rate};
}

template Rates rates_for<float>(double);
template Rates rates_for<double>(double);

Json rates_used() {
  Json json{{"square_products", Json::array()}, {"reading", Json::array()}};
  for (const auto& [key, rate] : product_rates)
    json["square_products"].push_back({{"dtype", key.first}, {"threads", key.second}, {"flops_per_second", rate}});
  for (const auto& [key, rate] : reading_rates)
    json["reading"].push_back(
        {{"bytes", std::ldexp(1.0, key.first)}, {"threads", key.second}, {"bytes_per_second", rate}});
  return json;
}

void print_rates() {
  fmt::print("\nrates that the floors rest on:\n");
  for (const auto& [key, rate] : product_rates)
    fmt::print("  square products {}, {} threads: {:.0f} GF/s\n", key.first, key.second, rate * 1e-9);
  for (const auto& [key, rate] : reading_rates)
    fmt::print("  reading {:.4g} MiB again and again, {} threads: {:.1f} GB/s\n", std::ldexp(1.0, key.first - 20),
               key.second, rate * 1e-9);
}

Json machine_description() {
  constexpr double gib = 0x1p30;
  const double memory = static_cast<double>(sysconf(_SC_PHYS_PAGES)) * static_cast<double>(sysconf(_SC_PAGESIZE));
  return {{"cpu", first_value("/proc/cpuinfo", "model name")},
          {"cores", sysconf(_SC_NPROCESSORS_ONLN)},
          {"threads", threads()},
          {"l1d", cache_size(1)},
          {"l2", cache_size(2)},
          {"l3", cache_size(3)},
          {"memory_gib", std::round(10 * memory / gib) / 10},
          {"blas", openblas_get_config()},
          {"compiler", __VERSION__}};
}

void print_machine() {
  const Json m = machine_description();
  fmt::print("{}, {} cores, {} threads used, L1d {}, L2 {}, L3 {}, {} GiB\n{}\ncompiler {}\n",
             m["cpu"].get<std::string>(), m["cores"].get<int>(), m["threads"].get<int>(), m["l1d"].get<std::string>(),
             m["l2"].get<std::string>(), m["l3"].get<std::string>(), m["memory_gib"].get<double>(),
             m["blas"].get<std::string>(), m["compiler"].get<std::string>());
}

}  // namespace lowrank::bench
