// Operations `pack_codes` and `unpack_codes`: vecpress/ops/pack_codes.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

// Widths of the planes of n_bits a number, most significant bits first, 0 where there are no more.
constexpr int kPlanes[9][3] = {{}, {1}, {2}, {2, 1}, {4}, {4, 1}, {4, 2}, {4, 2, 1}, {8}};

inline int64_t plane_size(int64_t d, int width) { return (d * width + 7) / 8; }

struct PackCodesArgs {
  uint8_t* out;           // [n][size]
  const uint8_t* labels;  // [n][d]
  int64_t d, size;
  int n_bits;
};

struct UnpackCodesArgs {
  uint8_t* out;          // [n][d]
  const uint8_t* codes;  // [n][size]
  int64_t d, size;
  int n_bits;
};

struct PackCodes {
  static constexpr const char* name = "pack_codes";
  using Kernel = void (*)(const PackCodesArgs&, int64_t begin, int64_t end);  // rows [begin, end), on the calling thread
};

struct UnpackCodes {
  static constexpr const char* name = "unpack_codes";
  using Kernel = void (*)(const UnpackCodesArgs&, int64_t begin, int64_t end);  // rows [begin, end), on the calling thread
};

}  // namespace vecpress
