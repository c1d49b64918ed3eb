// Operation `pack_bits`: vecpress/ops/pack_bits.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct PackBitsArgs {
  uint8_t* out;             // [n][ceil(d / 8)]
  const float* x;           // [n][d]
  const float* thresholds;  // [d]
  int64_t d;
};

struct PackBits {
  static constexpr const char* name = "pack_bits";
  using Kernel = void (*)(const PackBitsArgs&, int64_t begin, int64_t end);  // rows [begin, end), on the calling thread
};

}  // namespace vecpress
