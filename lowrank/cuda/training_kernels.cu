#include <algorithm>
#include <cfloat>
#include <lowrank/cuda/training_kernels.hpp>

namespace lowrank::cuda {
namespace {

constexpr int warp = 32, warps = 8;
constexpr unsigned everyone = 0xffffffffU;

unsigned blocks_for(std::int64_t items, std::int64_t each) {
  return static_cast<unsigned>(std::max<std::int64_t>(1, (items + each - 1) / each));
}

/// N numbers read or written at once.
template <class T, int N>
struct alignas(sizeof(T) * N) Pack {
  T of[N];
};

template <class T, int N>
__device__ Pack<T, N> load(const T* at) {
  return *reinterpret_cast<const Pack<T, N>*>(at);
}

template <class T, int N>
__device__ void store(T* at, const Pack<T, N>& value) {
  *reinterpret_cast<Pack<T, N>*>(at) = value;
}

/// Whether rows of `count` numbers may be read N at a time.
template <class T>
bool packs(Rows<T> X, std::int64_t count, int n) {
  return X.data == nullptr || (reinterpret_cast<std::uintptr_t>(X.data) % (sizeof(T) * static_cast<unsigned>(n)) == 0 &&
                               X.ld % n == 0 && count % n == 0);
}

/// The most numbers that go into 16 bytes.
template <class T>
constexpr int pack_size = 16 / static_cast<int>(sizeof(T));

/// A step of the optimizer with its powers of β computed, as kernels::Rule on the host.
template <class T>
struct Rule {
  bool adam;
  T keep1, keep2, beta2, step, root, epsilon;
};

template <class T>
__device__ Rule<T> rule_at(const OptimizerRule& o, const Clock* clock) {
  const double t = static_cast<double>(clock->step + 1);
  return {o.adam,
          static_cast<T>(1 - o.beta1),
          static_cast<T>(1 - o.beta2),
          static_cast<T>(o.beta2),
          static_cast<T>(o.adam ? o.lr / (1 - pow(o.beta1, t)) : o.lr),
          static_cast<T>(1 / sqrt(1 - pow(o.beta2, t))),
          static_cast<T>(o.epsilon)};
}

/// One thread computes the powers, all of the block get them.
template <class T>
__device__ void share_rule(Rule<T>& shared, const OptimizerRule& o, const Clock* clock) {
  if (threadIdx.x == 0 && threadIdx.y == 0) shared = rule_at<T>(o, clock);
}

template <class T>
__device__ void follow_one(T g, T& p, T& m, T& v, const Rule<T>& rule) {
  if (!rule.adam) {
    p = fma(-rule.step, g, p);
    return;
  }
  m = fma(g - m, rule.keep1, m);
  v = fma(g * g, rule.keep2, v * rule.beta2);
  T second = v;
  // As the host's kernel for float: v = 0 counts as the smallest normal number.
  if constexpr (sizeof(T) == 4) second = fmaxf(v, FLT_MIN);
  p = fma(-rule.step, m / fma(sqrt(second), rule.root, rule.epsilon), p);
}

template <class T>
__device__ T warp_sum(T value) {
  for (int apart = warp / 2; apart > 0; apart /= 2) value += __shfl_xor_sync(everyone, value, apart);
  return value;
}

// Forward

constexpr int forward_rows = 2, forward_samples = 16;

template <class T>
__device__ T forward_result(const ForwardWork<T>& work, std::int64_t sample, std::int64_t row, T sum) {
  T y = work.alpha * sum;
  if (work.bias != nullptr) y += work.bias[row * work.bias_step];
  for (std::int64_t k = 0; k < work.rank; ++k)
    y += work.H.data[sample * work.H.ld + k] * work.B.data[k * work.B.ld + row];
  return work.relu && y < T(0) ? T(0) : y;  // Written so that a NaN stays one.
}

/// A warp for two rows of W, its lanes along `in`, sixteen samples at a time.
template <class T, int N>
__global__ void forward_kernel(ForwardWork<T> work) {
  const std::int64_t row = (static_cast<std::int64_t>(blockIdx.x) * warps + threadIdx.y) * forward_rows;
  if (row >= work.out) return;
  const bool two = row + 1 < work.out;
  const int lane = threadIdx.x;
  const T* const w0 = work.W.data + row * work.W.ld;
  const T* const w1 = two ? w0 + work.W.ld : w0;
  for (std::int64_t first = 0; first < work.batch; first += forward_samples) {
    const int samples = static_cast<int>(min(work.batch - first, static_cast<std::int64_t>(forward_samples)));
    const T* const X = work.X.data + first * work.X.ld;
    T sums[forward_rows][forward_samples] = {};
    for (std::int64_t i = lane * N; i < work.in; i += warp * N) {
      const auto a = load<T, N>(w0 + i), b = load<T, N>(w1 + i);
#pragma unroll
      for (int s = 0; s < forward_samples; ++s) {
        if (s >= samples) break;
        const auto x = load<T, N>(X + s * work.X.ld + i);
#pragma unroll
        for (int n = 0; n < N; ++n) {
          sums[0][s] = fma(a.of[n], x.of[n], sums[0][s]);
          sums[1][s] = fma(b.of[n], x.of[n], sums[1][s]);
        }
      }
    }
#pragma unroll
    for (int s = 0; s < forward_samples; ++s) {
      if (s >= samples) break;
      const T top = warp_sum(sums[0][s]), bottom = warp_sum(sums[1][s]);
      if (lane == 0) work.Y.data[(first + s) * work.Y.ld + row] = forward_result(work, first + s, row, top);
      if (lane == 1 && two)
        work.Y.data[(first + s) * work.Y.ld + row + 1] = forward_result(work, first + s, row + 1, bottom);
    }
  }
}

template <class T>
__global__ void finish_forward_kernel(ForwardWork<T> work) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; at < work.batch * work.out;
       at += step) {
    const std::int64_t sample = at / work.out, row = at % work.out;
    T& y = work.Y.data[sample * work.Y.ld + row];
    if (work.bias != nullptr) y += work.bias[row * work.bias_step];
    if (work.relu && y < T(0)) y = T(0);
  }
}

// The way back to the inputs

template <class T>
__device__ T masked(const InputGradient<T>& work, std::int64_t sample, std::int64_t column, T sum) {
  for (std::int64_t k = 0; k < work.rank; ++k)
    sum = fma(work.dH.data[sample * work.dH.ld + k], work.A.data[k * work.A.ld + column], sum);
  return work.mask.data == nullptr || work.mask.data[sample * work.mask.ld + column] > T(0) ? sum : T(0);
}

constexpr int gradient_samples = 16;

/// A block for 32 columns, a part of the rows and sixteen samples: its eight warps take every eighth row.
template <class T>
__global__ void input_gradient_kernel(InputGradient<T> work, std::int64_t parts, T* scratch) {
  __shared__ T sums_of[warps][gradient_samples][warp];
  const std::int64_t column = static_cast<std::int64_t>(blockIdx.x) * warp + threadIdx.x, part = blockIdx.y;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.z) * gradient_samples;
  const int samples = static_cast<int>(min(work.batch - first, static_cast<std::int64_t>(gradient_samples)));
  const std::int64_t begin = part * work.out / parts, end = (part + 1) * work.out / parts;
  T sums[gradient_samples] = {};
  if (column < work.in)
#pragma unroll 2
    for (std::int64_t row = begin + threadIdx.y; row < end; row += warps) {
      const T w = work.W.data[row * work.W.ld + column];
#pragma unroll
      for (int s = 0; s < gradient_samples; ++s)
        if (s < samples) sums[s] = fma(work.dY.data[(first + s) * work.dY.ld + row], w, sums[s]);
    }
#pragma unroll
  for (int s = 0; s < gradient_samples; ++s) sums_of[threadIdx.y][s][threadIdx.x] = sums[s];
  __syncthreads();
  if (column >= work.in) return;
  for (int s = threadIdx.y; s < samples; s += warps) {
    T sum = 0;
    for (int k = 0; k < warps; ++k) sum += sums_of[k][s][threadIdx.x];
    const std::int64_t sample = first + s;
    if (parts == 1)
      work.dX.data[sample * work.dX.ld + column] = masked(work, sample, column, sum);
    else
      scratch[(part * work.batch + sample) * work.in + column] = sum;
  }
}

/// dX from the parts (none: from dX itself), with side branch and mask.
template <class T>
__global__ void finish_gradient_kernel(InputGradient<T> work, std::int64_t parts, const T* scratch) {
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x, size = work.batch * work.in;
  for (std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; at < size; at += step) {
    const std::int64_t sample = at / work.in, column = at % work.in;
    T& to = work.dX.data[sample * work.dX.ld + column];
    T sum = parts == 0 ? to : T(0);
    for (std::int64_t part = 0; part < parts; ++part) sum += scratch[part * size + at];
    to = masked(work, sample, column, sum);
  }
}

// The way of the parameters

constexpr int sweep_rows = 4, block_rows = warps * sweep_rows;

/// A block for 32 rows of W and 32·N columns: a warp for four rows, N columns a lane. The block's part of dY is in
/// shared memory; blocks of the first columns let the biases follow.
template <class T, int N>
__global__ void sweep_kernel(SweepWork<T> work, OptimizerRule options, const Clock* clock) {
  extern __shared__ __align__(16) unsigned char memory[];
  T* const dY = reinterpret_cast<T*>(memory);  // [batch, block_rows]
  __shared__ Rule<T> rule;
  // One row of blocks after the other: a grid may be long, and not high.
  const std::int64_t across = (work.in + warp * N - 1) / (warp * N);
  const std::int64_t block_row = blockIdx.x / across * block_rows, block_column = blockIdx.x % across;
  const int batch = static_cast<int>(work.batch),
            rows_here = static_cast<int>(min(work.out - block_row, static_cast<std::int64_t>(block_rows)));
  share_rule(rule, options, clock);
  for (int b = threadIdx.y; b < batch; b += warps)
    dY[b * block_rows + threadIdx.x] =
        static_cast<int>(threadIdx.x) < rows_here ? work.dY.data[b * work.dY.ld + block_row + threadIdx.x] : T(0);
  __syncthreads();
  const std::int64_t column = (block_column * warp + threadIdx.x) * N;
  const int row = threadIdx.y * sweep_rows;
  if (column < work.in && row < rows_here) {
    T g[sweep_rows][N] = {};
    for (int b = 0; b < batch; ++b) {
      const auto x = load<T, N>(work.X.data + b * work.X.ld + column);
#pragma unroll
      for (int r = 0; r < sweep_rows; ++r)
#pragma unroll
        for (int n = 0; n < N; ++n) g[r][n] = fma(dY[b * block_rows + row + r], x.of[n], g[r][n]);
    }
#pragma unroll
    for (int r = 0; r < sweep_rows; ++r) {
      if (row + r >= rows_here) break;
      const std::int64_t at = block_row + row + r;
      T* const p_at = work.W.p.data + at * work.W.p.ld + column;
      T* const m_at = work.W.m.data + at * work.W.m.ld + column;
      T* const v_at = work.W.v.data + at * work.W.v.ld + column;
      Pack<T, N> p = load<T, N>(p_at), m{}, v{};
      if (rule.adam) {
        m = load<T, N>(m_at);
        v = load<T, N>(v_at);
      }
#pragma unroll
      for (int n = 0; n < N; ++n) follow_one(g[r][n], p.of[n], m.of[n], v.of[n], rule);
      store<T, N>(p_at, p);
      if (rule.adam) {
        store<T, N>(m_at, m);
        store<T, N>(v_at, v);
      }
    }
  }
  const int of_bias = threadIdx.x;
  if (work.b.p.data == nullptr || block_column != 0 || threadIdx.y != 0 || of_bias >= rows_here) return;
  T g = 0;
  for (int b = 0; b < batch; ++b) g += dY[b * block_rows + of_bias];
  const std::int64_t at = block_row + of_bias;
  T m = 0, v = 0;
  if (rule.adam) {
    m = work.b.m.data[at * work.b.m.ld];
    v = work.b.v.data[at * work.b.v.ld];
  }
  follow_one(g, work.b.p.data[at * work.b.p.ld], m, v, rule);
  if (rule.adam) {
    work.b.m.data[at * work.b.m.ld] = m;
    work.b.v.data[at * work.b.v.ld] = v;
  }
}

template <class T>
__device__ void follow_entry(T g, std::int64_t row, std::int64_t column, const Following<T>& to, const Rule<T>& rule) {
  T m = 0, v = 0;
  if (rule.adam) {
    m = to.m.data[row * to.m.ld + column];
    v = to.v.data[row * to.v.ld + column];
  }
  follow_one(g, to.p.data[row * to.p.ld + column], m, v, rule);
  if (rule.adam) {
    to.m.data[row * to.m.ld + column] = m;
    to.v.data[row * to.v.ld + column] = v;
  }
}

template <class T>
__global__ void follow_kernel(Rows<const T> gradient, std::int64_t rows, std::int64_t cols, Following<T> parameters,
                              OptimizerRule options, const Clock* clock) {
  __shared__ Rule<T> rule;
  share_rule(rule, options, clock);
  __syncthreads();
  const std::int64_t step = static_cast<std::int64_t>(gridDim.x) * blockDim.x;
  for (std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; at < rows * cols; at += step)
    follow_entry(gradient.data[at / cols * gradient.ld + at % cols], at / cols, at % cols, parameters, rule);
}

/// A block for 32 biases, its warps take every eighth sample.
template <class T>
__global__ void bias_kernel(std::int64_t batch, std::int64_t out, Rows<const T> dY, Following<T> b,
                            OptimizerRule options, const Clock* clock) {
  __shared__ Rule<T> rule;
  __shared__ T sums[warps][warp];
  share_rule(rule, options, clock);
  const std::int64_t at = static_cast<std::int64_t>(blockIdx.x) * warp + threadIdx.x;
  T g = 0;
  if (at < out)
    for (std::int64_t s = threadIdx.y; s < batch; s += warps) g += dY.data[s * dY.ld + at];
  sums[threadIdx.y][threadIdx.x] = g;
  __syncthreads();
  if (threadIdx.y != 0 || at >= out) return;
  for (int k = 1; k < warps; ++k) g += sums[k][threadIdx.x];
  follow_entry(g, at, 0, b, rule);
}

// Samples

__global__ void advance_kernel(Clock* clock, std::int64_t batch) {
  clock->step += 1;
  clock->next += batch;
}

/// A block for each sample. In float whatever T is, as torch normalizes.
template <class T>
__global__ void gather_kernel(const std::uint8_t* pixels, const std::uint8_t* labels, std::int64_t features, float mean,
                              float deviation, const std::int32_t* order, const Clock* clock, Rows<T> X,
                              std::int32_t* chosen_labels) {
  const std::int64_t sample = blockIdx.x, chosen = order[clock->next + sample];
  const std::uint8_t* const from = pixels + chosen * features;
  T* const to = X.data + sample * X.ld;
  for (std::int64_t j = threadIdx.x; j < features; j += blockDim.x)
    to[j] = static_cast<T>((static_cast<float>(from[j]) / 255.0F - mean) / deviation);
  if (threadIdx.x == 0) chosen_labels[sample] = labels[chosen];
}

/// Lanes that work on one sample of the loss.
constexpr int loss_lanes = 16, loss_threads = 1024, loss_groups = loss_threads / loss_lanes;

/// One block: the losses of the groups are summed in a fixed order.
template <class T>
__global__ void __launch_bounds__(loss_threads)
    loss_kernel(std::int64_t batch, std::int64_t classes, Rows<const T> logits, const std::int32_t* labels,
                Rows<T> gradient, T* losses, std::int64_t capacity, const Clock* clock) {
  __shared__ T totals[loss_groups];
  const int lane = threadIdx.x % loss_lanes, group = threadIdx.x / loss_lanes;
  T total = 0;
  // The bound is the same for all, so that no thread of a warp is missing in the exchange.
  for (std::int64_t base = 0; base < batch; base += loss_groups) {
    const bool real = base + group < batch;
    const std::int64_t i = real ? base + group : batch - 1;
    const T* const z = logits.data + i * logits.ld;
    T top = z[0];
    for (std::int64_t c = lane; c < classes; c += loss_lanes) top = max(top, z[c]);
    for (int apart = loss_lanes / 2; apart > 0; apart /= 2)
      top = max(top, __shfl_xor_sync(everyone, top, apart, loss_lanes));
    T sum = 0;
    for (std::int64_t c = lane; c < classes; c += loss_lanes) sum += exp(z[c] - top);
    for (int apart = loss_lanes / 2; apart > 0; apart /= 2) sum += __shfl_xor_sync(everyone, sum, apart, loss_lanes);
    if (!real) continue;
    const std::int32_t label = labels[i];
    total += log(sum) + top - z[label];
    if (gradient.data == nullptr) continue;
    for (std::int64_t c = lane; c < classes; c += loss_lanes)
      gradient.data[i * gradient.ld + c] = (exp(z[c] - top) / sum - (c == label ? T(1) : T(0))) / static_cast<T>(batch);
  }
  if (lane == 0) totals[group] = total;
  __syncthreads();
  if (threadIdx.x != 0) return;
  T all = 0;
  for (int g = 0; g < loss_groups; ++g) all += totals[g];
  losses[clock->step % capacity] = all / static_cast<T>(batch);
}

template <class T>
__global__ void count_wrong_kernel(std::int64_t batch, std::int64_t classes, Rows<const T> logits,
                                   const std::int32_t* labels, unsigned long long* wrong) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i >= batch) return;
  const T* const z = logits.data + i * logits.ld;
  std::int64_t best = 0;
  bool comparable = z[0] == z[0];
  for (std::int64_t c = 1; c < classes; ++c) {
    comparable = comparable && z[c] == z[c];
    if (z[c] > z[best]) best = c;
  }
  if (!comparable || best != labels[i]) atomicAdd(wrong + labels[i], 1ULL);
}

constexpr int threads = 256;
constexpr std::int64_t most_blocks = 4096;
const dim3 block_of_warps(warp, warps);

template <class T, int N>
cudaError_t sweep_by(const SweepWork<T>& work, const OptimizerRule& rule, const Clock* clock, cudaStream_t stream) {
  const unsigned grid = blocks_for(work.in, warp * N) * blocks_for(work.out, block_rows);
  const std::size_t shared = static_cast<std::size_t>(work.batch) * block_rows * sizeof(T);
  sweep_kernel<T, N><<<grid, block_of_warps, shared, stream>>>(work, rule, clock);
  return cudaGetLastError();
}

}  // namespace

template <class T>
cudaError_t forward(const ForwardWork<T>& work, cudaStream_t stream) {
  constexpr int n = pack_size<T>;
  const unsigned blocks = blocks_for(work.out, warps * forward_rows);
  if (packs(work.W, work.in, n) && packs(work.X, work.in, n))
    forward_kernel<T, n><<<blocks, block_of_warps, 0, stream>>>(work);
  else
    forward_kernel<T, 1><<<blocks, block_of_warps, 0, stream>>>(work);
  return cudaGetLastError();
}

template <class T>
cudaError_t finish_forward(const ForwardWork<T>& work, cudaStream_t stream) {
  const std::int64_t blocks = std::min<std::int64_t>(most_blocks, blocks_for(work.batch * work.out, threads));
  finish_forward_kernel<<<static_cast<unsigned>(blocks), threads, 0, stream>>>(work);
  return cudaGetLastError();
}

std::int64_t input_gradient_parts(std::int64_t batch, std::int64_t out, std::int64_t in) {
  // About 256 blocks, and 64 rows at least in each.
  const std::int64_t blocks = blocks_for(in, warp) * static_cast<std::int64_t>(blocks_for(batch, gradient_samples));
  return std::clamp<std::int64_t>(std::min(256 / blocks, out / 64), 1, most_parts);
}

template <class T>
cudaError_t input_gradient(const InputGradient<T>& work, std::int64_t parts, T* scratch, cudaStream_t stream) {
  const dim3 grid(blocks_for(work.in, warp), static_cast<unsigned>(parts), blocks_for(work.batch, gradient_samples));
  input_gradient_kernel<<<grid, block_of_warps, 0, stream>>>(work, parts, scratch);
  if (const cudaError_t status = cudaGetLastError(); status != cudaSuccess || parts == 1) return status;
  finish_gradient_kernel<<<blocks_for(work.batch * work.in, threads), threads, 0, stream>>>(
      work, parts, static_cast<const T*>(scratch));
  return cudaGetLastError();
}

template <class T>
cudaError_t apply_mask(const InputGradient<T>& work, cudaStream_t stream) {
  const std::int64_t blocks = std::min<std::int64_t>(most_blocks, blocks_for(work.batch * work.in, threads));
  finish_gradient_kernel<T><<<static_cast<unsigned>(blocks), threads, 0, stream>>>(work, 0, nullptr);
  return cudaGetLastError();
}

template <class T>
cudaError_t sweep(const SweepWork<T>& work, const OptimizerRule& rule, const Clock* clock, cudaStream_t stream) {
  constexpr int n = pack_size<T>;
  const Following<T>& W = work.W;
  if (packs(work.X, work.in, n) && packs(W.p, work.in, n) && packs(W.m, work.in, n) && packs(W.v, work.in, n))
    return sweep_by<T, n>(work, rule, clock, stream);
  return sweep_by<T, 1>(work, rule, clock, stream);
}

template <class T>
cudaError_t follow(Rows<const T> gradient, std::int64_t rows, std::int64_t cols, const Following<T>& parameters,
                   const OptimizerRule& rule, const Clock* clock, cudaStream_t stream) {
  const std::int64_t blocks = std::min<std::int64_t>(most_blocks, blocks_for(rows * cols, threads));
  follow_kernel<<<static_cast<unsigned>(blocks), threads, 0, stream>>>(gradient, rows, cols, parameters, rule, clock);
  return cudaGetLastError();
}

template <class T>
cudaError_t follow_bias(std::int64_t batch, std::int64_t out, Rows<const T> dY, const Following<T>& b,
                        const OptimizerRule& rule, const Clock* clock, cudaStream_t stream) {
  bias_kernel<<<blocks_for(out, warp), block_of_warps, 0, stream>>>(batch, out, dY, b, rule, clock);
  return cudaGetLastError();
}

cudaError_t advance(Clock* clock, std::int64_t batch, cudaStream_t stream) {
  advance_kernel<<<1, 1, 0, stream>>>(clock, batch);
  return cudaGetLastError();
}

template <class T>
cudaError_t gather(const std::uint8_t* pixels, const std::uint8_t* labels, std::int64_t features, float mean,
                   float deviation, const std::int32_t* order, const Clock* clock, std::int64_t batch, Rows<T> X,
                   std::int32_t* chosen_labels, cudaStream_t stream) {
  gather_kernel<<<static_cast<unsigned>(batch), threads, 0, stream>>>(pixels, labels, features, mean, deviation, order,
                                                                      clock, X, chosen_labels);
  return cudaGetLastError();
}

template <class T>
cudaError_t softmax_cross_entropy(std::int64_t batch, std::int64_t classes, Rows<const T> logits,
                                  const std::int32_t* labels, Rows<T> gradient, T* losses, std::int64_t capacity,
                                  const Clock* clock, cudaStream_t stream) {
  loss_kernel<<<1, loss_threads, 0, stream>>>(batch, classes, logits, labels, gradient, losses, capacity, clock);
  return cudaGetLastError();
}

template <class T>
cudaError_t count_wrong(std::int64_t batch, std::int64_t classes, Rows<const T> logits, const std::int32_t* labels,
                        unsigned long long* wrong, cudaStream_t stream) {
  count_wrong_kernel<<<blocks_for(batch, threads), threads, 0, stream>>>(batch, classes, logits, labels, wrong);
  return cudaGetLastError();
}

#define LOWRANK_INSTANTIATE(T)                                                                                         \
  template cudaError_t forward<T>(const ForwardWork<T>&, cudaStream_t);                                                \
  template cudaError_t finish_forward<T>(const ForwardWork<T>&, cudaStream_t);                                         \
  template cudaError_t input_gradient<T>(const InputGradient<T>&, std::int64_t, T*, cudaStream_t);                     \
  template cudaError_t apply_mask<T>(const InputGradient<T>&, cudaStream_t);                                           \
  template cudaError_t sweep<T>(const SweepWork<T>&, const OptimizerRule&, const Clock*, cudaStream_t);                \
  template cudaError_t follow<T>(Rows<const T>, std::int64_t, std::int64_t, const Following<T>&, const OptimizerRule&, \
                                 const Clock*, cudaStream_t);                                                          \
  template cudaError_t follow_bias<T>(std::int64_t, std::int64_t, Rows<const T>, const Following<T>&,                  \
                                      const OptimizerRule&, const Clock*, cudaStream_t);                               \
  template cudaError_t gather<T>(const std::uint8_t*, const std::uint8_t*, std::int64_t, float, float,                 \
                                 const std::int32_t*, const Clock*, std::int64_t, Rows<T>, std::int32_t*,              \
                                 cudaStream_t);                                                                        \
  template cudaError_t softmax_cross_entropy<T>(std::int64_t, std::int64_t, Rows<const T>, const std::int32_t*,        \
                                                Rows<T>, T*, std::int64_t, const Clock*, cudaStream_t);                \
  template cudaError_t count_wrong<T>(std::int64_t, std::int64_t, Rows<const T>, const std::int32_t*,                  \
                                      unsigned long long*, cudaStream_t);
LOWRANK_INSTANTIATE(float)
LOWRANK_INSTANTIATE(double)
#undef LOWRANK_INSTANTIATE

}  // namespace lowrank::cuda
