// What the scans share: the arguments, the splitting over threads, and the merge. Definition: vecpress/ops/scan.py.
#pragma once

#include <cstdint>
#include <vector>

#include "core/control.hpp"
#include "core/half.hpp"
#include "core/topk.hpp"

namespace vecpress {

constexpr int64_t kBlock = 64;  // rows in a block, vecpress/ops/blocks.py

// A per-vector number in the head of a code, or one value for all.
struct Factor {
  enum Kind { none, f2, f4, u1, u2 } kind = none;  // the order of KINDS in vecpress/ops/factors.py
  int64_t offset = 0;
  float value = 0;               // what the stored number is multiplied with, or the number for all
  const float* table = nullptr;  // float[256] for u1
};

// A query's float tables rounded to 7 bits. For every row, with Q the sum of the rounded entries:
//   base + step * Q + low  <=  float sum  <=  base + step * Q + high
// and, where score = sum + constant, the same for the score less the constant.
struct Screen {
  const uint8_t* tables = nullptr;  // uint8[planes * tables per plane][16 or 256]
  bool usable = false;              // false where the tables are too wild for the bound; then every row is summed in float
  double base = 0, step = 1, low = 0, high = 0;
  double magnitude = 0;             // no partial sum exceeds it
  uint32_t width = 0;               // (high - low) / step, rounded up: how far apart rounded sums must be to order the float sums
};

struct Scan {
  const uint8_t* blocks = nullptr;
  int64_t n = 0, code_size = 0, head = 0;
  int64_t payload = 0;                 // code_size - head
  const void* operand = nullptr;       // float tables [nq][m][entries], packed bits uint8[nq][payload], or rows float[nq][m]
  int64_t nq = 0, m = 0, entries = 0;  // entries: 16 or 256, 0 where there are no tables
  int group = 1;
  bool l2 = false;
  const int64_t* ids = nullptr;        // nullptr: the row number
  const uint64_t* allow = nullptr;     // nullptr: all rows
  Factor scale{Factor::none, 0, 1.0f, nullptr}, bias;
  const float* constant = nullptr;
  int64_t k = 0;
  const Screen* screens = nullptr;     // by query, where the kernel asks for them

  const uint8_t* block(int64_t b) const { return blocks + b * code_size * kBlock; }
  // True where score = sum + constant, so that a bound on the sum is a bound on the score.
  bool plain() const { return scale.kind == Factor::none && scale.value == 1.0f && bias.kind == Factor::none; }
};

// Scans blocks [b0, b1) for queries [q0, q1), on the calling thread; collectors[q - q0] collects. Rows come in ascending order.
struct ScanKernel {
  void (*run)(const Scan&, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) = nullptr;
  // Kernels that screen: one query's tables float[m][entries] rounded to `tables`, with the bound of what that and its constant lose.
  Screen (*screen)(const float* rows, int64_t m, float constant, uint8_t* tables) = nullptr;
  // And: moves what query q's reservoir holds into its top k by exact sums.
  void (*settle)(const Scan&, int64_t q, Collector& collector) = nullptr;
};

// Runs `kernel` over all rows and queries and writes scores float[nq][k], ids int64[nq][k].
void run_scan(Scan scan, const ScanKernel& kernel, int threads, Control& control, float* scores, int64_t* ids);

}  // namespace vecpress
