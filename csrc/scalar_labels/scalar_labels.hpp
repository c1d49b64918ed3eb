// Operation `scalar_labels`: vecpress/ops/scalar_labels.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct ScalarLabelsArgs {
  uint8_t* out;       // [n][d]
  const float* x;     // [n][d]
  const float* low;   // [d]
  const float* step;  // [d]
  int64_t d;
  float most;         // 1 to 255
};

struct ScalarLabels {
  static constexpr const char* name = "scalar_labels";
  using Kernel = void (*)(const ScalarLabelsArgs&, int64_t begin, int64_t end);  // rows [begin, end), on the calling thread
};

}  // namespace vecpress
