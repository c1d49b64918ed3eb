// Operation `assign`: vecpress/ops/assign.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct AssignArgs {
  int32_t* labels;         // [n]
  float* distances;        // [n]
  const float* x;          // [n][d]
  const float* centroids;  // [k][d]
  int64_t k, d;
  const float* starts;     // and `largest`: of core/centroids.hpp; nullptr: by differences alone
  double largest;
};

struct Assign {
  static constexpr const char* name = "assign";
  static constexpr int64_t kScratch = 64;  // floats of scratch for each of d terms
  // Rows [begin, end), on the calling thread; scratch: float[d * kScratch].
  using Kernel = void (*)(const AssignArgs&, int64_t begin, int64_t end, float* scratch);
};

}  // namespace vecpress
