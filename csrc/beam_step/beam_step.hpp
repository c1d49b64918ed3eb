// Operation `beam_step`: vecpress/ops/beam_step.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct BeamStepArgs {
  uint8_t* grown;        // [n][keep][labels + 1]
  float* best;           // [n][keep]
  const float* costs;    // [n][ks]
  const float* pairs;    // [labels][ks][ks]
  const uint8_t* paths;  // [n][b][labels]
  const float* scores;   // [n][b]
  int64_t ks, labels, b, keep;
};

struct BeamStep {
  static constexpr const char* name = "beam_step";
  static constexpr int64_t kMostPaths = 256, kMostLabels = 63;  // before the step
  static int64_t scratch(const BeamStepArgs& a) { return (a.labels + 1 + a.b) * a.ks; }  // floats
  // Rows [begin, end), on the calling thread; scratch: float[scratch(a)].
  using Kernel = void (*)(const BeamStepArgs&, int64_t begin, int64_t end, float* scratch);
};

}  // namespace vecpress
