#pragma once

#include <lowrank/core/device.hpp>

/// A device whose memory nobody but its primitives may touch: it stands for a GPU where there is none. Its memory is
/// open only while a primitive (done by the host's) or a copy runs; whoever reads or writes it besides dies of SIGSEGV.
/// It is as strict as a GPU in other things too: all matrices of a call must be its own, what is recorded must allocate
/// nothing and give nothing to the host, and is later done with the arguments it had when it was recorded.
lowrank::Device& guarded_device();

/// What guarded_device() says it can still allocate, while this lives.
class LimitedMemory {
 public:
  explicit LimitedMemory(lowrank::Index bytes);
  ~LimitedMemory();
  LimitedMemory(const LimitedMemory&) = delete;
  LimitedMemory& operator=(const LimitedMemory&) = delete;
};

/// How many products guarded_device() has done, and how many of them in TF32.
struct ProductCounts {
  long all = 0, in_tf32 = 0;
};
ProductCounts guarded_products();
