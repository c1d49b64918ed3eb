// Operation `encode_trellis`: vecpress/ops/encode_trellis.py.
#pragma once

#include <cstdint>

#include "core/registry.hpp"

namespace vecpress {

constexpr int kMostRate = 4;   // bits a component
constexpr int kWordBytes = 8;  // at most

// A word of a code, and its components. In an unpacked tile they stand by fours, of which the last may be no full four.
struct TrellisWord {
  int64_t byte, component, four;  // its first ones
  int size, rate, steps;
  int fours() const { return (steps + 3) / 4; }
};

struct EncodeTrellisArgs {
  uint8_t* codes;  // [n][code_size]
  int8_t* values;  // [n][m]
  const float* y;  // [n][m]
  const TrellisWord* words;
  int64_t n_words, code_size, m;
  const int8_t* levels;  // [kMostRate][1 << window]
  int window;            // bits that name a level, 6 or 8
};

struct EncodeTrellis {
  static constexpr const char* name = "encode_trellis";
  using Kernel = void (*)(const EncodeTrellisArgs&, int64_t begin, int64_t end);  // rows, on the calling thread
};

}  // namespace vecpress
