// Operation `label_sums`: vecpress/ops/label_sums.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct LabelSumsArgs {
  double* sums;           // [k][d]
  const float* x;         // [n][d]
  const int32_t* labels;  // [n]
  int64_t n, d;
};

struct LabelSums {
  static constexpr const char* name = "label_sums";
  using Kernel = void (*)(const LabelSumsArgs&, int64_t begin, int64_t end);  // sums [begin, end), on the calling thread
};

}  // namespace vecpress
