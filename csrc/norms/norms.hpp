// Operation `norms`: vecpress/ops/norms.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct NormsArgs {
  float* out;      // [n]
  const float* x;  // [n][d]
  int64_t d;
};

struct Norms {
  static constexpr const char* name = "norms";
  using Kernel = void (*)(const NormsArgs&, int64_t begin, int64_t end);  // rows [begin, end), on the calling thread
};

}  // namespace vecpress
