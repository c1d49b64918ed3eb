// Scan `trellis`: vecpress/ops/trellis.py.
#pragma once

#include "core/registry.hpp"
#include "core/scan.hpp"
#include "encode_trellis/encode_trellis.hpp"

namespace vecpress {

constexpr int kLevelsZero = 127;  // the number of level 0: levels are -127 to 127

struct Trellis {
  static constexpr const char* name = "trellis";
  using Kernel = ScanKernel;
};

}  // namespace vecpress
