// Chains of fused multiply-adds along d, a tile of rows by columns a block, eight by eight chains a thread: what products of matrices and
// squared distances are made of.
//
//   sum[i, c] = fma(x[i, d - 1], y[c, d - 1], ... fma(x[i, 0], y[c, 0], start))      or of e * e, e = x[i, t] - y[c, t] rounded
//
// Each chain is one thread's and runs along d in order, so a result depends on its row and its column alone. x and y pass through shared
// memory kDeep columns at a time, while the next are on their way into registers.
#pragma once

#include <type_traits>

#include "core/platform.cuh"

namespace vecpress::cuda {

// R x C chains a thread, kDown x kAcross threads. A thread's rows are fours kDown * 4 apart, its columns likewise.
template <int R_, int C_, int kDown_, int kAcross_, int kDeep_>
struct Tile {
  static constexpr int R = R_, C = C_, kDown = kDown_, kAcross = kAcross_, kDeep = kDeep_, kThreads = kDown * kAcross;
  static constexpr int kRows = R * kDown, kColumns = C * kAcross;
  static constexpr int kRowStride = kRows + 4, kColumnStride = kColumns + 4;  // floats; 16 bytes that part the banks
  static constexpr int kShared = kDeep * (kRowStride + kColumnStride);        // floats
  static constexpr int kBlocks = 2;  // a multiprocessor should hold
  // a warp is a rectangle of its block, so that it reads few different numbers
  static constexpr int kWarpAcross = kAcross < 8 ? kAcross : 8, kWarpDown = 32 / kWarpAcross;
  static_assert(kDown % kWarpDown == 0 && kAcross % kWarpAcross == 0, "warps tile the block");

  __device__ static __forceinline__ int down() {
    return static_cast<int>(threadIdx.x) / 32 / (kAcross / kWarpAcross) * kWarpDown + lane_id() / kWarpAcross;
  }
  __device__ static __forceinline__ int across() {
    return static_cast<int>(threadIdx.x) / 32 % (kAcross / kWarpAcross) * kWarpAcross + lane_id() % kWarpAcross;
  }
  __device__ static __forceinline__ int row(int r) { return R % 4 ? down() * R + r : r / 4 * 4 * kDown + 4 * down() + r % 4; }
  __device__ static __forceinline__ int column(int c) { return C % 4 ? across() * C + c : c / 4 * 4 * kAcross + 4 * across() + c % 4; }
};

using WideTile = std::conditional_t<kEmulated, Tile<8, 8, 4, 8, 8>, Tile<8, 8, 16, 16, 8>>;
using NarrowTile = std::conditional_t<kEmulated, Tile<4, 8, 16, 2, 8>, Tile<4, 8, 64, 2, 8>>;  // 16 columns
using FlatTile = Tile<1, 1, 8, 32, 64>;                                                       // few rows

// Some rows of a matrix [.., d]; some columns of one [d, ..]; rows that a list names.
enum class By { kRow, kColumn, kList };
template <By by_>
struct Part {
  static constexpr By by = by_;
  const float* data;
  int64_t stride;        // from row to row as it lies in memory
  int count;             // rows, or columns, that there are from `data` on, as far as that matters
  const uint32_t* list;  // rows, counted from `data`
};

// A count that is compared with places in a tile.
__device__ __forceinline__ int some_of(int64_t count) { return count < 0x3fffffff ? static_cast<int>(count) : 0x3fffffff; }

// One pointer goes along: an address each would take the registers that sums need.
template <int kCount, int kDeep, int kThreads, By by, int kEach>
__device__ __forceinline__ void fetch_part(const Part<by>& p, int t0, int d, float (&out)[kEach]) {
  const int thread = static_cast<int>(threadIdx.x);
  if constexpr (by == By::kColumn) {
    constexpr int kStep = kThreads / kCount > 0 ? kThreads / kCount : 1;
    static_assert(kThreads % kCount == 0 || kCount % kThreads == 0, "whole turns");
    const float* at = p.data + (t0 + thread / kCount) * p.stride;
    int left = d - t0 - thread / kCount;
#pragma unroll
    for (int e = 0; e < kEach; ++e) {
      const int i = (thread + e * kThreads) % kCount;
      out[e] = left > 0 && i < p.count ? at[i] : 0.0f;
      if (kThreads >= kCount || (e + 1) * kThreads % kCount == 0) {
        at += kStep * p.stride;
        left -= kStep;
      }
    }
  } else {
    constexpr int kStep = kThreads / kDeep;
    static_assert(kThreads % kDeep == 0, "whole turns");
    const bool there = t0 + thread % kDeep < d;
    const int first = thread / kDeep;
    const float* at = p.data + t0 + thread % kDeep;
    if constexpr (by == By::kList) {
#pragma unroll
      for (int e = 0; e < kEach; ++e) out[e] = there && first + e * kStep < p.count ? at[p.list[first + e * kStep] * p.stride] : 0.0f;
    } else {
      at += first * p.stride;
#pragma unroll
      for (int e = 0; e < kEach; ++e) {
        out[e] = there && first + e * kStep < p.count ? *at : 0.0f;
        at += kStep * p.stride;
      }
    }
  }
}

template <int kCount, int kDeep, int kThreads, By by, int kEach>
__device__ __forceinline__ void store_part(const float (&from)[kEach], float* shared) {
#pragma unroll
  for (int e = 0; e < kEach; ++e) {
    const int at = static_cast<int>(threadIdx.x) + e * kThreads;
    const int i = by == By::kColumn ? at % kCount : at / kDeep, t = by == By::kColumn ? at / kCount : at % kDeep;
    shared[t * (kCount + 4) + i] = from[e];
  }
}

template <int kEach, bool kByFours>
__device__ __forceinline__ void read_chains(const float* shared, int place, int apart, float (&out)[kEach]) {
  if constexpr (kByFours) {
#pragma unroll
    for (int i = 0; i < kEach / 4; ++i) {
      const float4 four = *reinterpret_cast<const float4*>(shared + i * apart + 4 * place);
      out[4 * i] = four.x, out[4 * i + 1] = four.y, out[4 * i + 2] = four.z, out[4 * i + 3] = four.w;
    }
  } else {
#pragma unroll
    for (int i = 0; i < kEach; ++i) out[i] = shared[place * kEach + i];
  }
}

template <class T, bool kDifferences>
__device__ __forceinline__ void step_chains(const float* xs, const float* ys, int t, float (&sum)[T::R][T::C]) {
  float x[T::R], y[T::C];
  read_chains<T::R, T::R % 4 == 0>(xs + t * T::kRowStride, T::down(), 4 * T::kDown, x);
  read_chains<T::C, T::C % 4 == 0>(ys + t * T::kColumnStride, T::across(), 4 * T::kAcross, y);
#pragma unroll
  for (int r = 0; r < T::R; ++r)
#pragma unroll
    for (int c = 0; c < T::C; ++c) {
      if (kDifferences) {
        const float e = __fsub_rn(x[r], y[c]);
        sum[r][c] = __fmaf_rn(e, e, sum[r][c]);
      } else {
        sum[r][c] = __fmaf_rn(x[r], y[c], sum[r][c]);
      }
    }
}

// Continues the sums over all of d. shared: T::kShared floats, 16-byte aligned; by all threads of the block, who may have left it in use.
template <class T, bool kDifferences, By byx, By byy>
__device__ __forceinline__ void run_chains(const Part<byx>& x, const Part<byy>& y, int d, float* shared, float (&sum)[T::R][T::C]) {
  constexpr int kX = T::kRows * T::kDeep / T::kThreads, kY = T::kColumns * T::kDeep / T::kThreads;
  static_assert(kX * T::kThreads == T::kRows * T::kDeep && kY * T::kThreads == T::kColumns * T::kDeep, "whole turns");
  float* xs = shared;
  float* ys = shared + T::kDeep * T::kRowStride;
  float next_x[kX], next_y[kY];
  fetch_part<T::kRows, T::kDeep, T::kThreads>(x, 0, d, next_x);
  fetch_part<T::kColumns, T::kDeep, T::kThreads>(y, 0, d, next_y);
  for (int t0 = 0; t0 < d; t0 += T::kDeep) {
    __syncthreads();
    store_part<T::kRows, T::kDeep, T::kThreads, byx>(next_x, xs);
    store_part<T::kColumns, T::kDeep, T::kThreads, byy>(next_y, ys);
    __syncthreads();
    if (t0 + T::kDeep < d) {
      fetch_part<T::kRows, T::kDeep, T::kThreads>(x, t0 + T::kDeep, d, next_x);
      fetch_part<T::kColumns, T::kDeep, T::kThreads>(y, t0 + T::kDeep, d, next_y);
    }
    if (d - t0 >= T::kDeep) {
#pragma unroll 2
      for (int t = 0; t < T::kDeep; ++t) step_chains<T, kDifferences>(xs, ys, t, sum);
    } else {  // no term more than there are: one of zeros would make -0 to 0
      for (int t = 0; t < d - t0; ++t) step_chains<T, kDifferences>(xs, ys, t, sum);
    }
  }
}

}  // namespace vecpress::cuda
