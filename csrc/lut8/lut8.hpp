// Scan `lut8`: vecpress/ops/lut8.py.
#pragma once

#include "core/registry.hpp"
#include "core/scan.hpp"

namespace vecpress {

struct Lut8 {
  static constexpr const char* name = "lut8";
  using Kernel = ScanKernel;
};

}  // namespace vecpress
