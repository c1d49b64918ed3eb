// Nearest centroids by the definition: sums of squared differences along d, ties to the lower label. For rows of a tile, or a listed few.
#pragma once

#include "core/chains.cuh"

namespace vecpress::cuda {

// Blocks of a tile that a multiprocessor is to hold; what they compare leaves too few registers for two from sm_100 on.
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 1000
template <class T>
constexpr int kNearestBlocks = 1;
#else
template <class T>
constexpr int kNearestBlocks = T::kBlocks;
#endif


struct Nearest {
  float distance;
  int label;
};

// Whether b comes before a: as numpy.argmin has it, what is no number is first of all.
__device__ __forceinline__ bool nearer(float b, float a) { return !(b >= a) && a == a; }
__device__ __forceinline__ bool nearer(const Nearest& b, const Nearest& a) {
  const bool tie = b.distance == a.distance || (b.distance != b.distance && a.distance != a.distance);
  return nearer(b.distance, a.distance) || (tie && b.label < a.label);
}

// What run_chains uses, and behind it the nearest so far of each row and thread across: in registers these would be too many.
template <class T>
constexpr int kNearestShared = T::kShared + 2 * T::kRows * T::kAcross;

// The nearest of centroids y [k, d] (or columns) of each row of the tile: `finish(row, nearest)` is called once for each, always by the same
// thread. By all threads of the block.
template <class T, By byx, By byy, class Finish>
__device__ __forceinline__ void nearest_of_tile(const Part<byx>& x, const Part<byy>& y, int d, float* shared, Finish finish) {
  Nearest* all = reinterpret_cast<Nearest*>(shared + T::kShared);  // [kRows, kAcross]
  __syncthreads();
#pragma unroll
  for (int r = 0; r < T::R; ++r)
    all[T::row(r) * T::kAcross + T::across()] = {__uint_as_float(0x7f800000u), 0};  // what all infinite distances give
  for (int c0 = 0; c0 < y.count; c0 += T::kColumns) {
    float sum[T::R][T::C] = {};
    const Part<byy> part{y.data + (byy == By::kColumn ? c0 : static_cast<int64_t>(c0) * y.stride), y.stride, y.count - c0, nullptr};
    run_chains<T, true>(x, part, d, shared, sum);
#pragma unroll
    for (int r = 0; r < T::R; ++r) {
      Nearest& own = all[T::row(r) * T::kAcross + T::across()];
      Nearest best = own;
#pragma unroll
      for (int c = 0; c < T::C; ++c)
        if (c0 + T::column(c) < y.count && nearer(sum[r][c], best.distance)) best = {sum[r][c], c0 + T::column(c)};
      own = best;
    }
  }
  __syncthreads();
  for (int row = static_cast<int>(threadIdx.x); row < T::kRows; row += T::kThreads) {
    if (row >= x.count) break;
    Nearest out = all[row * T::kAcross];
    for (int i = 1; i < T::kAcross; ++i) {
      const Nearest other = all[row * T::kAcross + i];
      if (nearer(other, out)) out = other;
    }
    finish(row, out);
  }
}

}  // namespace vecpress::cuda
