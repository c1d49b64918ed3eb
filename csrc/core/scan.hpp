// What the scans share: the arguments, the splitting over threads, and the merge. Definition: vecpress/ops/scan.py.
#pragma once

#include <cstdint>
#include <type_traits>
#include <vector>

#include "core/control.hpp"
#include "core/half.hpp"
#include "core/topk.hpp"

namespace vecpress {

constexpr int64_t kBlock = 64;  // rows in a block, vecpress/ops/blocks.py

// A per-vector number in the head of a code, or one value for all.
struct Factor {
  // the order of KINDS in vecpress/ops/factors.py
  enum Kind { none, f2, f4, u1, u2, f2_square, f4_square, u2_square } kind = none;
  int64_t offset = 0;
  float value = 0;               // what the stored number is multiplied with, or the number for all
  const float* table = nullptr;  // float[256] for u1
};

// Between what a row's float sum lies, by a whole number Q: base + step * Q + low and base + step * Q + high.
struct Line {
  double base = 0, step = 1, low = 0, high = 0;
  double per_step = 1;  // one by `step`
};

// A query as whole numbers, by which a kernel computes a whole number for every row, cheaply, and a finer one for the rows of blocks in which
// the first lets any pass. Each bounds the float sum, and where score = sum + constant, the score less the constant. Where `dot` ranks by
// squared distances, the sum is that of the query's products with the levels, without the row's factor.
struct Screen {
  const uint8_t* numbers = nullptr;  // the kernel's own: rounded tables or rows, first what is coarse, then what makes it fine
  bool usable = false;               // false where the query is too wild for the bound; then every row is summed in float
  Line coarse, fine;
  double extent = 0;                 // no number on the way to that sum or to its bounds exceeds it
  double square = 0;                 // `dot` with squared distances: the query's squared length
  uint32_t start = 0, rest_start = 0;  // `dot`: what both sums of products begin with, modulo 2^32, so that they are never negative
  double sure = 0, spread = 0;       // the coarse sum errs upwards by sure + spread * a row's distance from `dot`'s middle level, at most
};

// `dot`: the levels that a code's numbers stand for, and as whole numbers: level[c] = base + step * number[c], with an error of at most
// `error`.
struct Levels {
  float level[256];
  uint8_t number[256];
  float by_number[256];   // level of each number
  uint8_t label[256];     // and which it is
  int count = 256;        // of levels
  bool told_apart = true;  // no two levels have one number
  double base = 0, step = 1, error = 0;
  float largest = 0;      // absolute value; infinite where one is not finite
  int most = 0;           // the largest number
};

struct TrellisWord;  // csrc/encode_trellis/encode_trellis.hpp

// `trellis`: the words of a code, and where its components stand in an unpacked tile.
struct TrellisCode {
  const TrellisWord* words = nullptr;
  int64_t n_words = 0;
  const uint8_t* numbers = nullptr;  // [rates][1 << window], each level's number
  int window = 0;
  int64_t places = 0;
  const int32_t* place_of = nullptr;  // component
  const int8_t* inside = nullptr;     // -1 for a place that has a component, else 0
};

struct Scan {
  const uint8_t* blocks = nullptr;
  int64_t n = 0, code_size = 0, head = 0;
  int64_t payload = 0;                 // code_size - head
  int64_t stride = 0;                  // bytes of a row in a block: code_size, or more where these are the first of longer codes
  const void* operand = nullptr;       // float tables [nq][m][entries], packed bits uint8[nq][payload], or rows float[nq][m]
  int64_t nq = 0, m = 0, entries = 0;  // entries: 16 or 256, 0 where there are no tables
  int group = 1;
  bool l2 = false;
  const int64_t* ids = nullptr;        // nullptr: the row number
  const uint64_t* allow = nullptr;     // nullptr: all rows
  Factor scale{Factor::none, 0, 1.0f, nullptr}, bias;
  bool distances = false;              // `dot`: the sum is -|row - stretch * levels|^2; there are no other factors
  Factor stretch;
  const float* constant = nullptr;
  int64_t k = 0;
  const Screen* screens = nullptr;     // by query, where the kernel asks for them
  int n_bits = 0;                      // `dot`, `sdc`: of a number
  int form = 0;                        // `sdc`: how its kernels are to sum, 0 for the fastest way
  const float* weights = nullptr;      // `sdc`: what each query's sums are multiplied with, above 0
  const float* given_levels = nullptr;  // `dot`: float[2^n_bits], nullptr for evenly spaced ones
  const Levels* levels = nullptr;
  const TrellisCode* trellis = nullptr;
  int64_t labels = 0;                   // `trellis`: first bytes of the payload
  const float* label_tables = nullptr;  // float[nq][labels][256], added to the sum

  const uint8_t* block(int64_t b) const { return blocks + b * stride * kBlock; }
  // True where score = sum + constant, so that a bound on the sum is a bound on the score.
  bool plain() const { return !distances && scale.kind == Factor::none && scale.value == 1.0f && bias.kind == Factor::none; }
};

// Scans blocks [b0, b1) for queries [q0, q1), on the calling thread; collectors[q - q0] collects. Rows come in ascending order.
struct ScanKernel {
  void (*run)(const Scan&, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) = nullptr;
  // Kernels that screen: query q as whole numbers, written to `numbers`, with the bound of what that and its constant lose; how many
  // bytes of them.
  Screen (*screen)(const Scan&, int64_t q, uint8_t* numbers) = nullptr;
  int64_t (*screen_bytes)(const Scan&) = nullptr;
  // And: moves what query q's reservoir holds into its top k by exact sums.
  void (*settle)(const Scan&, int64_t q, Collector& collector) = nullptr;
  // `dot`: the levels as whole numbers.
  void (*prepare)(const Scan&, Levels& levels) = nullptr;
  // Queries that `run` is given at a time where there are as many: so many that what they share costs little and what each has stays near.
  int64_t together = 64;
};

// Runs `kernel` over all rows and queries and writes scores float[nq][k], ids int64[nq][k].
void run_scan(Scan scan, const ScanKernel& kernel, int threads, Control& control, float* scores, int64_t* ids);

}  // namespace vecpress
