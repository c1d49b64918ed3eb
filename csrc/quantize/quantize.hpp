// Operation `quantize`: vecpress/ops/quantize.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct QuantizeArgs {
  uint8_t* out;             // [values]
  const float* x;           // [values]
  const float* thresholds;  // [count], ascending
  int64_t count;            // 1 to 255
};

struct Quantize {
  static constexpr const char* name = "quantize";
  using Kernel = void (*)(const QuantizeArgs&, int64_t begin, int64_t end);  // values [begin, end), on the calling thread
};

}  // namespace vecpress
