// Operation `rotate`: vecpress/ops/rotate.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct RotateArgs {
  float* out;          // [n][d]
  const float* x;      // [n][d]
  const float* signs;  // [4][d], 1 or -1
  int64_t d, width;    // width: the largest power of two that is not above d
  float scale;         // sqrt(1 / width)
  float half;          // sqrt(1 / 2)
  bool inverse;
};

struct Rotate {
  static constexpr const char* name = "rotate";
  static constexpr int kRounds = 4;
  using Kernel = void (*)(const RotateArgs&, int64_t begin, int64_t end);  // rows [begin, end), on the calling thread
};

}  // namespace vecpress
