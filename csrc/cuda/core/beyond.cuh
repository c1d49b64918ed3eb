// The first row that has a NaN or a magnitude beyond what is allowed, found by kernels that read the rows anyway.
#pragma once

#include "core/platform.cuh"

namespace vecpress::cuda {

__device__ __forceinline__ bool is_beyond(float value, float largest) { return !(fabsf(value) <= largest); }

__device__ __forceinline__ void note_row(int64_t* first, int64_t row) {
  atomicMin(reinterpret_cast<long long*>(first), static_cast<long long>(row));
}

// *first = n, where there is no such row.
int begin_rows(int64_t* first, int64_t n, Stream stream);  // encode_sq.cu

}  // namespace vecpress::cuda
