// Operation `encode_grid`: vecpress/ops/encode_grid.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct EncodeGridArgs {
  uint8_t* labels;  // [n][d]
  double* sums;     // [n][kSums]
  const float* y;   // [n][d]
  const float* along;  // [d]
  int64_t d;
  int n_bits;  // 1 to 8
};

struct EncodeGrid {
  static constexpr const char* name = "encode_grid";
  static constexpr int64_t kSums = 5;
  static constexpr int64_t kPad = 32;  // scratch is a whole number of the widest vectors
  // rows [begin, end), on the calling thread; scratch: room for d numbers, rounded up to kPad
  using Kernel = void (*)(const EncodeGridArgs&, int64_t begin, int64_t end, int16_t* scratch);
};

}  // namespace vecpress
