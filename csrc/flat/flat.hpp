// Scan `flat`: vecpress/ops/flat.py.
#pragma once

#include "core/registry.hpp"
#include "core/scan.hpp"

namespace vecpress {

struct Flat {
  static constexpr const char* name = "flat";
  using Kernel = ScanKernel;
};

}  // namespace vecpress
