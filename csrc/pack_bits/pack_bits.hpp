// Operation `pack_bits`: vecpress/ops/pack_bits.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct PackBitsArgs {
  uint8_t* out;             // [n][ceil(d / 8)]
  const float* x;           // [n][d]
  const float* thresholds;  // [d]
  int64_t n, d;
  int32_t largest;          // the bits of the largest magnitude that is allowed
};

struct PackBits {
  static constexpr const char* name = "pack_bits";
  // Rows [begin, end), on the calling thread; returns the first of them with a larger magnitude or a NaN, n where there is none.
  using Kernel = int64_t (*)(const PackBitsArgs&, int64_t begin, int64_t end);
};

}  // namespace vecpress
