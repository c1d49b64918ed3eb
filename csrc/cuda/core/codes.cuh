// Codes on a device: where a byte of a row lies, per-vector factors, scores and their order. Compiles for devices and for hosts.
#pragma once

#include "core/platform.cuh"

namespace vecpress::cuda {

constexpr int kGroup = 32;  // rows that lie together, one a lane
constexpr int kChunk = 16;  // bytes of a row that lie in one piece

// A group holds 32 codes. Piece c of all 32 rows, 16 bytes a row, then piece c + 1, ...; the last piece has 4, 8, 12 or 16 bytes a row, what is
// left of the code, padded with zeros to whole words. So a warp reads the same word of its 32 rows in whole lines, and 8 rows of a piece
// are the 8 x 16 bytes that a fragment of the tensor cores' operands takes.
//
//   stride 40    offset in the group      0      row 0 bytes 0..15   | row 1 bytes 0..15   | ... | row 31
//                                         512    row 0 bytes 16..31  | ...
//                                         1024   row 0 bytes 32..39  | row 1 bytes 32..39  | ... | row 31
//                                         1280   the next group
struct Codes {
  const uint8_t* data;
  int64_t n;
  int code_size, head, stride;  // bytes of a code that are scanned; of them before the payload; that are stored
};

__host__ __device__ inline int64_t padded(int64_t stride) { return (stride + 3) / 4 * 4; }
__host__ __device__ inline int64_t group_bytes(int64_t stride) { return kGroup * padded(stride); }
__host__ __device__ inline int64_t groups_of(int64_t n) { return (n + kGroup - 1) / kGroup; }

// Offset of a row's byte.
__host__ __device__ inline int64_t place(int64_t stride, int64_t row, int64_t byte) {
  const int64_t size = padded(stride), chunk = byte / kChunk, left = size - chunk * kChunk;
  const int64_t width = left < kChunk ? left : kChunk;
  return row / kGroup * group_bytes(stride) + chunk * kChunk * kGroup + row % kGroup * width + byte % kChunk;
}

// One row's words, to be read in order.
struct Row {
  const uint8_t* group;
  int lane, words;  // of the stored code
  __device__ __forceinline__ Row(const Codes& c, int64_t row)
      : group(c.data + static_cast<int64_t>(static_cast<uint32_t>(row) / kGroup) * group_bytes(c.stride)),  // rows are fewer than 2^32
        lane(static_cast<int>(static_cast<uint32_t>(row) % kGroup)), words(static_cast<int>(padded(c.stride) / 4)) {}
  __device__ __forceinline__ bool whole(int chunk) const { return 4 * chunk + 4 <= words; }
  __device__ __forceinline__ uint4 chunk(int c) const {  // where `whole`
    return *reinterpret_cast<const uint4*>(group + (c * kGroup + lane) * kChunk);
  }
  __device__ __forceinline__ uint32_t word(int w) const {
    const int c = w / 4, left = words - 4 * c, width = left < 4 ? left : 4;
    return *reinterpret_cast<const uint32_t*>(group + c * kGroup * kChunk + (lane * width + w % 4) * 4);
  }
  // Four words, zeros behind the last.
  __device__ __forceinline__ uint4 four(int c) const {
    if (whole(c)) return chunk(c);
    const int w = 4 * c;
    return make_uint4(w < words ? word(w) : 0, w + 1 < words ? word(w + 1) : 0, w + 2 < words ? word(w + 2) : 0, 0);
  }
  __device__ __forceinline__ uint32_t byte(int b) const { return word(b / 4) >> 8 * (b % 4) & 255; }
};

// ---- per-vector factors, as vecpress/ops/factors.py defines them

enum FactorKind { kNone, kF2, kF4, kU1, kU2, kF2Squared, kF4Squared, kU2Squared, kFactorKinds };

struct Factor {
  int kind, offset;
  float times;         // the value itself where the kind is kNone
  const float* table;  // [256], for kU1
};

__host__ __device__ inline int factor_width(int kind) {
  return kind == kNone ? 0 : kind == kU1 ? 1 : kind == kF4 || kind == kF4Squared ? 4 : 2;
}

__device__ inline float half_value(uint32_t h) {
  const uint32_t sign = (h & 0x8000u) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
  if (exponent == 31) return __uint_as_float(sign | 0x7f800000u | fraction << 13);
  if (exponent) return __uint_as_float(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = __fmul_rn(static_cast<float>(fraction), 0x1p-24f);  // exact
  return sign ? -small : small;
}

__device__ inline float factor_value(const Factor& f, const Row& row) {
  if (f.kind == kNone) return f.times;
  if (f.kind == kU1) return f.table[row.byte(f.offset)];
  uint32_t bits = row.byte(f.offset) | row.byte(f.offset + 1) << 8;
  float value;
  if (f.kind == kF4 || f.kind == kF4Squared) {
    bits |= row.byte(f.offset + 2) << 16 | row.byte(f.offset + 3) << 24;
    value = __uint_as_float(bits);
  } else if (f.kind == kU2 || f.kind == kU2Squared) {
    value = __fmul_rn(__uint_as_float(bits << 13), 0x1p96f);
  } else {
    value = half_value(bits);
  }
  if (f.kind >= kF2Squared) value = __fmul_rn(value, value);
  return __fmul_rn(value, f.times);
}

// ---- scores: ((sum * scale) + bias) + constant, every step rounded; what is no number counts as -inf

__device__ __forceinline__ float finished(float sum, float scale, bool biased, float bias, float constant) {
  float score = __fmul_rn(sum, scale);
  if (biased) score = __fadd_rn(score, bias);
  score = __fadd_rn(score, constant);
  return score == score ? score : __uint_as_float(0xff800000u);
}
__device__ __forceinline__ float finished(float sum, float scale, const float* bias, float constant) {
  return finished(sum, scale, bias != nullptr, bias ? *bias : 0.0f, constant);
}

// Scores as whole numbers in the same order, both zeros as one; 0 is below all of them.
__host__ __device__ inline uint32_t order_of_bits(uint32_t bits) {
  if (bits == 0x80000000u) bits = 0;
  return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}
__host__ __device__ inline uint32_t bits_of_order(uint32_t key) { return key & 0x80000000u ? key & 0x7fffffffu : ~key; }
__device__ __forceinline__ uint32_t order(float score) { return order_of_bits(__float_as_uint(score)); }

}  // namespace vecpress::cuda
