// Nearest centroids by the definition: sums of squared differences along d, ties to the lower label. For rows of a tile, or a listed few.
#pragma once

#include "core/chains.cuh"

namespace vecpress::cuda {

struct Nearest {
  float distance;
  int label;
};

// Whether b comes before a: as numpy.argmin has it, what is no number is first of all.
__device__ __forceinline__ bool nearer(float b, float a) { return !(b >= a) && a == a; }
__device__ __forceinline__ bool nearer(const Nearest& b, const Nearest& a) {
  return nearer(b.distance, a.distance) || ((b.distance == a.distance || (b.distance != b.distance && a.distance != a.distance)) && b.label < a.label);
}

// What run_chains uses, and afterwards the tile's nearest of each thread across.
template <class T>
constexpr int kNearestShared = T::kShared > 2 * T::kRows * T::kAcross ? T::kShared : 2 * T::kRows * T::kAcross;

// The nearest of centroids y [k, d] (or columns) of the tile's row `threadIdx.x`, for threads below T::kRows, in turns of kThreads:
// `finish(row, nearest)` is called once for each row of the tile. By all threads of the block.
template <class T, class Finish>
__device__ __forceinline__ void nearest_of_tile(const Part& x, const Part& y, int64_t d, float* shared, Finish finish) {
  float best[T::R];
  int label[T::R];
#pragma unroll
  for (int r = 0; r < T::R; ++r) {
    best[r] = __uint_as_float(0x7f800000u);
    label[r] = 0x7fffffff;
  }
  for (int64_t c0 = 0; c0 < y.count; c0 += T::kColumns) {
    float sum[T::R][T::C] = {};
    const Part part{y.data + (y.by_column ? c0 : c0 * y.stride), y.stride, y.count - c0, y.by_column, nullptr};
    run_chains<T, true>(x, part, d, shared, sum);
#pragma unroll
    for (int c = 0; c < T::C; ++c) {
      const int64_t here = c0 + T::column(c);
      if (here >= y.count) continue;
#pragma unroll
      for (int r = 0; r < T::R; ++r)
        if (nearer(sum[r][c], best[r]) || label[r] == 0x7fffffff) {
          best[r] = sum[r][c];
          label[r] = static_cast<int>(here);
        }
    }
  }
  __syncthreads();
  Nearest* all = reinterpret_cast<Nearest*>(shared);  // [kRows, kAcross]
#pragma unroll
  for (int r = 0; r < T::R; ++r) all[T::row(r) * T::kAcross + T::across()] = {best[r], label[r]};
  __syncthreads();
  for (int row = static_cast<int>(threadIdx.x); row < T::kRows; row += T::kThreads) {
    if (row >= x.count) break;
    Nearest out = all[row * T::kAcross];
    for (int i = 1; i < T::kAcross; ++i) {
      const Nearest other = all[row * T::kAcross + i];
      if (other.label != 0x7fffffff && nearer(other, out)) out = other;
    }
    finish(row, out);
  }
}

}  // namespace vecpress::cuda
