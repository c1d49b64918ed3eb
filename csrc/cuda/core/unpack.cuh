// Numbers of 1 to 8 bits as vecpress/ops/pack_codes.py packs them, made bytes for products of whole numbers, and one by one.
//
// Products are 32 bytes deep (core/mma.cuh), and rows' kernels take the same bytes of a query, so that there is one order of a query's bytes
// for both: `dimension_at` says it. What is no number of a code, in front of the payload or behind it, has the weight 0 in queries.
//
//   kSplit   words shifted and masked: 1, 2 or 4 bits of each byte; a number is itself
//   kPick    4 bits, or 1 or 2 of them, pick one of up to 16 bytes: levels that are no even steps
//   kBytes   8 bits, less 128
//   kJoint   any width, planes put together, and a table of 256 where levels are no even steps
#pragma once

#include "core/codes.cuh"

namespace vecpress::cuda {

enum class Form { kSplit, kPick, kBytes, kJoint };

constexpr int kDeep = 32;  // bytes of a product

// Where the numbers are: planes of a code, the most significant bits first.
struct Planes {
  int d, n_bits, head, count;
  int begin[3], width[3];  // first byte in the code; bits
};

inline int64_t plane_bytes(int64_t d, int width) { return (d * width + 7) / 8; }

inline Planes planes_of(int64_t d, int n_bits, int head) {
  Planes p = {static_cast<int>(d), n_bits, head, 0, {0, 0, 0}, {0, 0, 0}};
  int64_t at = head;
  for (int width = 8; width; width /= 2) {
    if (!(n_bits & width)) continue;
    p.begin[p.count] = static_cast<int>(at);
    p.width[p.count++] = width;
    at += plane_bytes(d, width);
  }
  return p;
}

inline int64_t packed_size(int64_t d, int n_bits) {
  int64_t bytes = 0;
  for (int width = 8; width; width /= 2) bytes += n_bits & width ? plane_bytes(d, width) : 0;
  return bytes;
}

// How far a number of `width` bits stands from its byte's lowest bit, r-th of the byte.
__host__ __device__ __forceinline__ int shift_of(int width, int r) { return width == 4 ? 4 * r : 8 - width - r * width; }

// Number t of a row.
__device__ __forceinline__ uint32_t label_of(const Row& row, const Planes& p, int t) {
  uint32_t label = 0;
#pragma unroll
  for (int i = 0; i < 3; ++i) {
    if (i >= p.count) break;
    const int width = p.width[i], bit = t * width;  // a power of two
    label = label << width | (row.byte(p.begin[i] + (bit >> 3)) >> (width == 4 ? bit & 4 : 8 - width - (bit & 7)) & ((1u << width) - 1));
  }
  return label;
}

template <Form F, int W>
__host__ __device__ inline int64_t steps_of(int64_t d, int64_t code_size) {
  if (F == Form::kJoint) return (d + kDeep - 1) / kDeep;
  if (F == Form::kBytes) return (code_size + kDeep - 1) / kDeep;
  return (code_size + kChunk - 1) / kChunk * (4 / (W ? W : 4));
}

// Which dimension byte `at` of product `step` belongs to; -1: none.
template <Form F, int W>
__host__ __device__ inline int dimension_at(const Planes& p, int step, int at) {
  if (F == Form::kJoint) return kDeep * step + at < p.d ? kDeep * step + at : -1;
  constexpr int kWidth = W ? W : 8, kProducts = F == Form::kBytes ? 1 : 4 / (W ? W : 4);
  int byte = kDeep * step + at, shift = 0;
  if (F != Form::kBytes) {
    const int chunk = step / kProducts, k = step % kProducts, later = at >> 4;
    if (F == Form::kSplit) {
      byte = kChunk * chunk + (at & 15);
      shift = (2 * k + later) * kWidth;
    } else {
      const int nibble = (at & 3) + 4 * later;
      byte = kChunk * chunk + (at & 12) + nibble / 2;
      shift = 4 * (nibble & 1) + k * kWidth;
    }
  }
  const int r = kWidth == 8 ? 0 : kWidth == 4 ? shift / 4 : (8 - kWidth - shift) / kWidth;
  const int64_t t = static_cast<int64_t>(byte - p.head) * (8 / kWidth) + r;
  return byte >= p.head && t < p.d ? static_cast<int>(t) : -1;
}

// ---- words of four numbers

// The two words of product k that a word of a piece becomes.
template <Form F, int W>
__device__ __forceinline__ void pair_of(uint32_t w, int k, const uint4& picks, uint32_t& a, uint32_t& b) {
  constexpr uint32_t kOnes = W == 4 ? 0x0f0f0f0fu : W == 2 ? 0x03030303u : 0x01010101u;
  if (F == Form::kSplit) {
    a = w >> 2 * k * W & kOnes;
    b = w >> (2 * k + 1) * W & kOnes;
  } else if (W == 4) {  // three bits pick of each eight, the fourth picks which
    const uint32_t low = w & 0x77777777u, which = (w >> 1 & 0x44444444u) | 0x32103210u;
    a = __byte_perm(__byte_perm(picks.x, picks.y, low), __byte_perm(picks.z, picks.w, low), which);
    b = __byte_perm(__byte_perm(picks.x, picks.y, low >> 16), __byte_perm(picks.z, picks.w, low >> 16), which >> 16);
  } else {
    const uint32_t low = w >> k * W & (W == 2 ? 0x33333333u : 0x11111111u);
    a = __byte_perm(picks.x, 0, low);
    b = __byte_perm(picks.x, 0, low >> 16);
  }
}

// Four numbers of a plane, from number 4 i on, as bytes. The plane's bytes may lie behind the code, as zeros or whatever is there.
__device__ __forceinline__ uint32_t spread(const Row& row, int begin, int width, int i) {
  const int size = 4 * row.words;
  if (width == 4) {
    const int at = begin + 2 * i;
    uint32_t x = at < size ? row.byte(at) : 0;
    x |= at + 1 < size ? row.byte(at + 1) << 16 : 0;
    return (x | x << 4) & 0x0f0f0f0fu;  // the first of each byte is its low half
  }
  const int at = width == 8 ? begin + 4 * i : width == 2 ? begin + i : begin + i / 2;
  if (width == 8) {
    uint32_t x = 0;
    for (int j = 0; j < 4; ++j) x |= at + j < size ? row.byte(at + j) << 8 * j : 0;
    return x;
  }
  const uint32_t x = at < size ? row.byte(at) : 0;
  // copies 10 or 9 bits apart leave each number at the begin of its byte
  if (width == 2) return x * 0x40100401u >> 6 & 0x03030303u;
  return (x >> (i & 1 ? 0 : 4) & 15) * 0x08040201u >> 3 & 0x01010101u;
}

__device__ __forceinline__ uint32_t joint_of(const Row& row, const Planes& p, int i) {
  uint32_t labels = 0;
#pragma unroll
  for (int plane = 0; plane < 3; ++plane)
    if (plane < p.count) labels = labels << p.width[plane] | spread(row, p.begin[plane], p.width[plane], i);
  return labels;
}

// Bytes by a table, four at once.
__device__ __forceinline__ uint32_t look_up(uint32_t labels, const int8_t* table) {
  uint32_t out = 0;
#pragma unroll
  for (int j = 0; j < 4; ++j) out |= static_cast<uint32_t>(static_cast<uint8_t>(__ldg(table + (labels >> 8 * j & 255)))) << 8 * j;
  return out;
}

// The same by up to 8 bytes that lie in two words.
__device__ __forceinline__ uint32_t look_up_few(uint32_t labels, const uint4& picks) {
  const uint32_t two = labels | labels >> 4;
  return __byte_perm(picks.x, picks.y, (two & 255) | (two >> 8 & 0xff00u));
}

}  // namespace vecpress::cuda
