// Operation `tables`: vecpress/ops/tables.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct TablesArgs {
  float* out;              // [nq][m][ks]
  const float* q;          // [nq][m * dsub]
  const float* codebooks;  // [m][ks][dsub]
  int64_t m, ks, dsub;
  bool l2;
  bool by_column;          // codebooks [m][dsub][ks]
};

struct Tables {
  static constexpr const char* name = "tables";
  static constexpr int64_t kScratch = 48;  // floats of scratch for each of dsub terms
  // Queries [begin, end), on the calling thread; scratch: float[dsub * kScratch].
  using Kernel = void (*)(const TablesArgs&, int64_t begin, int64_t end, float* scratch);
};

}  // namespace vecpress
