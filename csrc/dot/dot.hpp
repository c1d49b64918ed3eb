// Scan `dot`: vecpress/ops/dot.py.
#pragma once

#include "core/registry.hpp"
#include "core/scan.hpp"

namespace vecpress {

struct Dot {
  static constexpr const char* name = "dot";
  using Kernel = ScanKernel;
};

}  // namespace vecpress
