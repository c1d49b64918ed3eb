// Operation `encode_sq`: vecpress/ops/encode_sq.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct EncodeSqArgs {
  uint8_t* out;          // [n][ceil(d n_bits / 8)]
  const float* x;        // [n][d]
  const float* low;      // [d]
  const float* step;     // [d]
  const float* inverse;  // [d]: 1 / step; nullptr where that is not exact but for its rounding
  int64_t n, d;
  int n_bits;            // 4 or 8
  int32_t largest;       // the bits of the largest magnitude that is allowed
};

struct EncodeSq {
  static constexpr const char* name = "encode_sq";
  // Rows [begin, end), on the calling thread; returns the first of them with a larger magnitude or a NaN, n where there is none.
  using Kernel = int64_t (*)(const EncodeSqArgs&, int64_t begin, int64_t end);
};

}  // namespace vecpress
