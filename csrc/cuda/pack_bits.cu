// Values compared with thresholds, bits packed, and rows with values that are not allowed. Definition: vecpress/ops/pack_bits.py.
//
// A warp takes 128 values of a row; its lanes compare neighbours and a ballot is 32 bits of the code. Reading is the limit.
#include "core/beyond.cuh"
#include "core/grids.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kThreads = kEmulated ? 64 : 256, kBallots = 4;

__global__ void __launch_bounds__(kThreads) pack_bits_kernel(uint8_t* out, int64_t* first, const float* x, const float* thresholds, float largest,
                                                             int64_t n, int64_t d, bool words) {
  const int64_t size = (d + 7) / 8, parts = (d + 32 * kBallots - 1) / (32 * kBallots), warps = static_cast<int64_t>(gridDim.x) * (kThreads / 32);
  const int lane = lane_id();
  for (int64_t i = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32; i < n * parts; i += warps) {
    const int64_t row = i / parts, t0 = i % parts * (32 * kBallots);
    const float* from = x + row * d;
    float value[kBallots], bar[kBallots];
#pragma unroll
    for (int b = 0; b < kBallots; ++b) {
      const int64_t t = t0 + 32 * b + lane;
      value[b] = t < d ? from[t] : 0.0f;
      bar[b] = t < d ? thresholds[t] : 0.0f;
    }
    uint32_t own = 0;
    bool beyond = false;
#pragma unroll
    for (int b = 0; b < kBallots; ++b) {
      const uint32_t bits = __ballot_sync(kAllLanes, value[b] > bar[b]);
      if (lane == b) own = __byte_perm(__brev(bits), 0, 0x0123);  // the first value is the first byte's highest bit
      beyond |= is_beyond(value[b], largest) && t0 + 32 * b + lane < d;
    }
    const int64_t byte = t0 / 8 + 4 * lane;
    if (lane < kBallots && byte < size) {
      uint8_t* to = out + row * size + byte;
      if (words) {
        *reinterpret_cast<uint32_t*>(to) = own;
      } else {
        for (int b = 0; b < 4 && byte + b < size; ++b) to[b] = static_cast<uint8_t>(own >> 8 * b);
      }
    }
    if (__any_sync(kAllLanes, beyond) && lane == 0) note_row(first, row);
  }
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_pack_bits(uint8_t* out, int64_t* first, const float* x, const float* thresholds, float largest, int64_t n, int64_t d,
                                 void* stream) {
  if (n < 0 || d < 0 || !first) return VP_CUDA_ARGUMENT;
  if (n && d && (!out || !x || !thresholds)) return VP_CUDA_ARGUMENT;
  const Stream on = static_cast<Stream>(stream);
  if (const int code = begin_rows(first, n, on)) return code;
  if (!n || !d) return VP_CUDA_OK;
  const int64_t parts = divided_up(d, 32 * kBallots);
  return launch(pack_bits_kernel, blocks_over(n * parts * 32, kThreads), dim3(kThreads), 0, on, out, first, x, thresholds, largest, n, d,
                (d + 7) / 8 % 4 == 0 && aligned_to(out, 4));
}
