// Euclidean norms of rows. Definition: vecpress/ops/norms.py. Eight threads a row, one a lane of the definition; reading is the limit.
#include "core/grids.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kThreads = kEmulated ? 64 : 256, kLanes = 8, kTogether = 4;  // numbers that are on their way at once

__global__ void __launch_bounds__(kThreads) norms_kernel(float* out, const float* x, int64_t n, int64_t d) {
  const int64_t rows = static_cast<int64_t>(gridDim.x) * (kThreads / kLanes);
  const int lane = static_cast<int>(threadIdx.x) % kLanes;
  for (int64_t first = static_cast<int64_t>(blockIdx.x) * (kThreads / kLanes); first < n; first += rows) {  // the same in all lanes of a warp
    const int64_t row = first + threadIdx.x / kLanes;
    const float* from = x + (row < n ? row : n - 1) * d;
    double sum = 0;
    int64_t t = lane;
    for (; t + (kTogether - 1) * kLanes < d; t += kTogether * kLanes) {
      float some[kTogether];
#pragma unroll
      for (int i = 0; i < kTogether; ++i) some[i] = from[t + i * kLanes];
#pragma unroll
      for (int i = 0; i < kTogether; ++i) sum += static_cast<double>(some[i]) * static_cast<double>(some[i]);  // the product is exact
    }
    for (; t < d; t += kLanes) sum += static_cast<double>(from[t]) * static_cast<double>(from[t]);
    sum += __shfl_xor_sync(kAllLanes, sum, 4);
    sum += __shfl_xor_sync(kAllLanes, sum, 2);
    sum += __shfl_xor_sync(kAllLanes, sum, 1);
    if (lane == 0 && row < n) out[row] = static_cast<float>(sqrt(sum));
  }
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_norms(float* out, const float* x, int64_t n, int64_t d, void* stream) {
  if (n < 0 || d < 0) return VP_CUDA_ARGUMENT;
  if (!n) return VP_CUDA_OK;
  if (!out || (d && !x)) return VP_CUDA_ARGUMENT;
  return launch(norms_kernel, blocks_over(n * kLanes, kThreads), dim3(kThreads), 0, static_cast<Stream>(stream), out, x, n, d);
}
