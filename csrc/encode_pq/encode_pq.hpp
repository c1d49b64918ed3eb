// Operation `encode_pq`: vecpress/ops/encode_pq.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

struct EncodePqArgs {
  uint8_t* out;            // [n][m] for 256 centroids, [n][ceil(m / 2)] for 16
  const float* x;          // [n][m * dsub]
  const float* codebooks;  // [m][ks][dsub], or [m][dsub][ks] where they come by column
  int64_t m, ks, dsub;
  bool by_column;
  const float* starts;     // [m][ks], and `largest` [m]: of core/centroids.hpp; nullptr: by differences alone
  const double* largest;
};

struct EncodePq {
  static constexpr const char* name = "encode_pq";
  static constexpr int64_t kScratch = 64;  // floats of scratch for each of dsub terms
  // Rows [begin, end), on the calling thread; scratch: float[dsub * kScratch].
  using Kernel = void (*)(const EncodePqArgs&, int64_t begin, int64_t end, float* scratch);
};

}  // namespace vecpress
