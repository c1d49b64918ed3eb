// Scan `lut4`: vecpress/ops/lut4.py.
#pragma once

#include "core/registry.hpp"
#include "core/scan.hpp"

namespace vecpress {

struct Lut4 {
  static constexpr const char* name = "lut4";
  using Kernel = ScanKernel;
};

}  // namespace vecpress
