// Operation `project`: vecpress/ops/project.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct ProjectArgs {
  float* out;           // [n][p]
  const float* x;       // [n][d]
  const float* offset;  // [p]
  int64_t d, p;
  // the matrix's whole strips of 16 columns, in place or copied: element t of strip s starts at strips + s * stride + t * step
  const float* strips;
  int64_t step, stride;
  const float* last;    // what p leaves over, [d][16], and its offset [16], filled up with zeros
  const float* last_offset;
};

struct Project {
  static constexpr const char* name = "project";
  using Kernel = void (*)(const ProjectArgs&, int64_t begin, int64_t end);  // rows [begin, end), on the calling thread
};

}  // namespace vecpress
