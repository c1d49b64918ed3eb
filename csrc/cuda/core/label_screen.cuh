// Codes of 256 centroids a sub-vector by the tensor cores, with a bound: the nearest is measured by the definition wherever it is in doubt.
//
// |x - c|^2 is least where s = <x, c> - |c|^2 / 2 is largest. Both are scaled by a power of two (a sub-quantizer's own, so that its longest centroid
// is 8 to 16 long) and rounded to float16; three columns more of the product, ones in x, hold 2048 - |c|^2 / 2 in parts. So a product gives
// s + 2048, between 2^9 and 2^17 where |x| <= 64, whose six highest bits as a float32 are always the same: shifted out, they make room for the
// number of the centroid, and the largest of such keys is found by whole numbers' maxima.
//
// Bound, in scaled units, with X = |x|, rx = |x - x'|, C and rc their likes, the largest of all centroids, x' and c' what was multiplied:
//   |<x', c'> - <x, c>| <= rx (C + rc) + X rc;   the parts of 2048 - |c|^2 / 2 err by 2^-20;   the products' sums by kSumError * S a step,
//   S = 2048 + (X + rx)(C + rc);   E is the sum of these.
// With g = (dsub + 4) 2^-24 a distance of the definition is the true one to a factor 1 + g. A centroid whose distance is not above that of the
// one with the best s therefore has an s within 2 E + 1.1 g (X + C)^2 of the best, and numbers among float32's smallest add 2^-146 (dsub + 4)
// scale^2. Lanes keep their best key and their second: if only one key of a row is that near, it is the answer; if each lane's best alone is,
// these are measured; else all 256.
#pragma once

#include "core/halves.cuh"
#include "core/nearest.cuh"

namespace vecpress::cuda {

struct Subspace {
  float scale, length, rest;  // scale; C and rc, scaled and rounded up; length is NaN where the scale or a centroid is beyond what is bounded
  float unused;
};

constexpr int kBook = 256, kBookTiles = kBook / 8, kStartColumns = 3;
constexpr float kShiftUp = 2048.0f, kLongest = 64.0f;
constexpr uint32_t kHighBits = 17u << 26;  // of numbers in [2^9, 2^17)
constexpr int kMostSteps = 3;

__host__ __device__ inline int label_steps(int64_t dsub) { return static_cast<int>((dsub + kStartColumns + 15) / 16); }
inline bool labels_by_products(int64_t ks, int64_t dsub) { return ks == kBook && dsub >= 1 && label_steps(dsub) <= kMostSteps; }

struct LabelBook {
  const float* data;   // codebooks [m, 256, dsub], or [m, dsub, 256]
  uint2* fragments;    // [m, 32 tiles, steps, 32 lanes]
  Subspace* spaces;    // [m]
  int64_t m;
  int dsub, steps;
  bool by_column;
  __device__ __forceinline__ float at(int64_t j, int c, int t) const {
    const float* book = data + j * kBook * dsub;
    return by_column ? book[t * kBook + c] : book[c * dsub + t];
  }
};

// A block a sub-quantizer, a thread a centroid.
static __global__ void __launch_bounds__(kBook) label_book_kernel(LabelBook b) {
  __shared__ unsigned longest, rest;  // as bits, which are ordered as the numbers are
  const int64_t j = blockIdx.x;
  const int c = static_cast<int>(threadIdx.x);
  double square = 0;
  for (int t = 0; t < b.dsub; ++t) square += static_cast<double>(b.at(j, c, t)) * static_cast<double>(b.at(j, c, t));
  if (c == 0) longest = rest = 0;
  __syncthreads();
  const float up = 1.000001f;
  float length = static_cast<float>(sqrt(square)) * up;
  if (!(length < 0x1p60f)) length = 0x1p61f;
  atomicMax(&longest, __float_as_uint(length));
  __syncthreads();
  const float C = __uint_as_float(longest);
  const bool bounded = C >= 0x1p-50f && C < 0x1p50f;
  const int exponent = static_cast<int>(longest >> 23) - 127;
  const float scale = bounded ? __uint_as_float(static_cast<uint32_t>(127 + 3 - exponent) << 23) : 0.0f;
  const double start = 2048.0 - 0.5 * square * scale * scale;
  double off = 0, left = start;
  // this thread's column: tile c / 8, column g = c % 8, depth k in lane 4 g + k % 8 / 2
  uint16_t* to = reinterpret_cast<uint16_t*>(b.fragments + (j * kBookTiles + c / 8) * b.steps * 32);
  for (int k = 0; k < 16 * b.steps; ++k) {
    float value = 0;
    if (k < b.dsub) {
      value = b.at(j, c, k) * scale;
    } else if (k < b.dsub + kStartColumns) {
      value = static_cast<float>(left);
    }
    const uint32_t half = bounded ? two_halves(value, 0.0f) & 0xffff : 0;
    if (k < b.dsub) {
      const double e = static_cast<double>(value) - static_cast<double>(from_half(half));
      off += e * e;
    } else {
      left -= static_cast<double>(from_half(half));
    }
    to[((k / 16 * 32 + c % 8 * 4 + k % 8 / 2) * 2 + k % 16 / 8) * 2 + k % 2] = static_cast<uint16_t>(half);
  }
  atomicMax(&rest, __float_as_uint(static_cast<float>(sqrt(off)) * up + 1e-12f));
  __syncthreads();
  if (c == 0) b.spaces[j] = {scale, bounded ? C * scale : __uint_as_float(0x7fc00000u), __uint_as_float(rest), 0};
}

// A row's distance from a centroid by the definition.
__device__ inline float measured(const LabelBook& b, const float* x, int64_t j, int c) {
  float sum = 0;
  for (int t = 0; t < b.dsub; ++t) {
    const float e = __fsub_rn(x[t], b.at(j, c, t));
    sum = __fmaf_rn(e, e, sum);
  }
  return sum;
}

template <int kLanes>
__device__ __forceinline__ Nearest nearest_of_lanes(Nearest best) {
#pragma unroll
  for (int by = kLanes / 2; by; by /= 2) {
    const Nearest other{__shfl_xor_sync(kAllLanes, best.distance, by), __shfl_xor_sync(kAllLanes, best.label, by)};
    if (nearer(other, best)) best = other;
  }
  return best;
}

// The labels of 32 rows for sub-quantizer j, by a warp: of rows g, g + 8, g + 16, g + 24 in all four lanes of g. x: the rows' sub-vectors, `stride`
// apart, `count` of them; fragments: of this sub-quantizer; up64: 64, kept from the compiler: it would shift,
// in the pipe that maxima need.
template <int kSteps>
__device__ __forceinline__ void find_labels(const LabelBook& b, const Subspace& space, const uint2* fragments, int64_t j, const float* x,
                                            int64_t stride, int count, bool pairs, uint32_t up64, int (&label)[4]) {
  const int lane = lane_id(), g = lane / 4, t = lane % 4;
  uint32_t a[2][kSteps][4];
  float square[4] = {}, off[4] = {};
#pragma unroll
  for (int r = 0; r < 4; ++r) {
    const float* row = x + (g + 8 * r < count ? g + 8 * r : count - 1) * stride;
#pragma unroll
    for (int i = 0; i < 2 * kSteps; ++i) {
      const int k = 8 * i + 2 * t;
      float2 two = {0, 0};
      if (pairs) {
        if (k < b.dsub) two = *reinterpret_cast<const float2*>(row + k);
      } else {
        if (k < b.dsub) two.x = row[k];
        if (k + 1 < b.dsub) two.y = row[k + 1];
      }
      two.x *= space.scale;
      two.y *= space.scale;
      uint32_t halves = two_halves(two.x, two.y);
      const float ex = two.x - from_half(halves & 0xffff), ey = two.y - from_half(halves >> 16);
      square[r] += two.x * two.x;
      square[r] += two.y * two.y;
      off[r] += ex * ex;
      off[r] += ey * ey;
      if (k >= b.dsub) halves |= k < b.dsub + kStartColumns ? kHalfOne : 0;
      if (k + 1 >= b.dsub) halves |= k + 1 < b.dsub + kStartColumns ? kHalfOne << 16 : 0;
      a[r / 2][i / 2][r % 2 + i % 2 * 2] = halves;
    }
  }
  uint32_t best[4] = {}, second[4] = {};
#pragma unroll(kSteps > 2 ? 2 : 4)
  for (int tile = 0; tile < kBookTiles; ++tile) {
    float sum[2][4] = {};
#pragma unroll
    for (int s = 0; s < kSteps; ++s) {
      const uint2 column = fragments[(tile * kSteps + s) * 32 + lane];
      const uint32_t two[2] = {column.x, column.y};
      multiply_halves(sum[0], a[0][s], two);
      multiply_halves(sum[1], a[1][s], two);
    }
#pragma unroll
    for (int r = 0; r < 4; ++r) {
      const uint32_t first = __float_as_uint(sum[r / 2][r % 2 * 2]) * up64 + static_cast<uint32_t>(2 * tile);
      const uint32_t other = __float_as_uint(sum[r / 2][r % 2 * 2 + 1]) * up64 + static_cast<uint32_t>(2 * tile + 1);
      const uint32_t high = max(first, other), low = min(first, other);
      second[r] = max(max(second[r], low), min(best[r], high));
      best[r] = max(best[r], high);
    }
  }
  const float d4 = static_cast<float>(b.dsub + 4), up = 1.0001f;
#pragma unroll
  for (int r = 0; r < 4; ++r) {
#pragma unroll
    for (int by = 1; by < 4; by *= 2) {
      square[r] += __shfl_xor_sync(kAllLanes, square[r], by);
      off[r] += __shfl_xor_sync(kAllLanes, off[r], by);
    }
    const float X = sqrtf(square[r]) * up + 1e-12f, rx = sqrtf(off[r]) * up + 1e-12f, C = space.length, c = C + space.rest;
    const float E = rx * c + X * space.rest + 0x1p-20f + kSteps * kSumError * (kShiftUp + (X + rx) * c);
    const float margin = (2 * E + 1.1f * 0x1p-24f * d4 * (X + C) * (X + C) + 0x1p-146f * d4 * space.scale * space.scale) * up;
    uint32_t most = best[r];
    most = max(most, __shfl_xor_sync(kAllLanes, most, 1));
    most = max(most, __shfl_xor_sync(kAllLanes, most, 2));
    const auto score = [](uint32_t key) { return __uint_as_float(key >> 6 | kHighBits); };
    const float floor = score(most) - margin;
    const bool bounded = X <= kLongest && rx < 1.0f && C == C;
    const unsigned quad = 15u << (lane & ~3);
    const bool near = !(score(best[r]) < floor), crowded = !(bounded && score(second[r]) < floor);
    const unsigned who = __ballot_sync(kAllLanes, near) & quad;
    unsigned all = __ballot_sync(kAllLanes, crowded && g + 8 * r < count);
    const bool doubtful = __popc(who) > 1, full = (all & quad) != 0;
    int own = static_cast<int>((best[r] & 63) / 2 * 8 + 2 * t + (best[r] & 1));
    const float* row = x + (g + 8 * r < count ? g + 8 * r : count - 1) * stride;
    if (__any_sync(kAllLanes, doubtful && !full)) {
      Nearest found{__uint_as_float(0x7f800000u), kBook};
      if (near && doubtful && !full) found = {measured(b, row, j, own), own};
      found = nearest_of_lanes<4>(found);
      if (doubtful) own = found.label;
    }
    const int sure = __shfl_sync(kAllLanes, own, (lane & ~3) + (__ffs(static_cast<int>(who)) + 3) % 4);
    if (!doubtful) own = sure;
    while (all) {  // a row at a time, by all lanes
      const int of = (__ffs(static_cast<int>(all)) - 1) / 4;
      all &= ~(15u << 4 * of);
      Nearest found{__uint_as_float(0x7f800000u), 0};
      for (int i = lane; i < kBook; i += 32) {
        const Nearest one{measured(b, x + (of + 8 * r) * stride, j, i), i};
        if (i == lane || nearer(one, found)) found = one;
      }
      found = nearest_of_lanes<32>(found);
      if (g == of) own = found.label;
    }
    label[r] = own;
  }
}

}  // namespace vecpress::cuda
