// Scan `hamming`: vecpress/ops/hamming.py.
#pragma once

#include "core/registry.hpp"
#include "core/scan.hpp"

namespace vecpress {

struct Hamming {
  static constexpr const char* name = "hamming";
  using Kernel = ScanKernel;
};

}  // namespace vecpress
