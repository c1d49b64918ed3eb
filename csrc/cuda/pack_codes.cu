// Small whole numbers packed into planes of bits and back. Definition: vecpress/ops/pack_codes.py. A thread a byte, or a number.
#include "core/grids.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kThreads = kEmulated ? 64 : 256;

// Up to three planes, the most significant bits first.
struct Planes {
  int count, width[3], left[3];  // left: bits of the planes behind
  int64_t begin[3], size;        // bytes
};

Planes planes_of(int n_bits, int64_t d) {
  Planes out{};
  int left = n_bits;
  for (int width = 8; width; width /= 2) {
    if (left < width) continue;
    left -= width;
    out.width[out.count] = width;
    out.left[out.count] = left;
    out.begin[out.count++] = out.size;
    out.size += (d * width + 7) / 8;
  }
  return out;
}

// How far number i of a byte stands from its lowest bit.
__device__ __forceinline__ int place_in_byte(int width, int i) { return width == 4 ? 4 * i : 8 - width * (i + 1); }

__global__ void __launch_bounds__(kThreads) pack_kernel(uint8_t* out, const uint8_t* labels, int64_t n, int64_t d, Planes planes) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; at < n * planes.size; at += step) {
    const int64_t row = at / planes.size, byte = at % planes.size;
    int p = 0;
    while (p + 1 < planes.count && byte >= planes.begin[p + 1]) ++p;
    const int width = planes.width[p], each = 8 / width;
    const int64_t t0 = (byte - planes.begin[p]) * each;
    int value = 0;
    for (int i = 0; i < each; ++i)
      if (t0 + i < d) value |= (labels[row * d + t0 + i] >> planes.left[p] & ((1 << width) - 1)) << place_in_byte(width, i);
    out[at] = static_cast<uint8_t>(value);
  }
}

__global__ void __launch_bounds__(kThreads) unpack_kernel(uint8_t* out, const uint8_t* codes, int64_t n, int64_t d, Planes planes) {
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; at < n * d; at += step) {
    const int64_t row = at / d, t = at % d;
    int value = 0;
    for (int p = 0; p < planes.count; ++p) {
      const int width = planes.width[p], each = 8 / width;
      const int byte = codes[row * planes.size + planes.begin[p] + t / each];
      value = value << width | (byte >> place_in_byte(width, static_cast<int>(t % each)) & ((1 << width) - 1));
    }
    out[at] = static_cast<uint8_t>(value);
  }
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_pack_codes(uint8_t* out, const uint8_t* labels, int32_t n_bits, int64_t n, int64_t d, void* stream) {
  if (n < 0 || d < 0 || n_bits < 1 || n_bits > 8) return VP_CUDA_ARGUMENT;
  if (!n || !d) return VP_CUDA_OK;
  if (!out || !labels) return VP_CUDA_ARGUMENT;
  const Planes planes = planes_of(n_bits, d);
  return launch(pack_kernel, blocks_over(n * planes.size, kThreads), dim3(kThreads), 0, static_cast<Stream>(stream), out, labels, n, d, planes);
}

extern "C" int vp_cuda_unpack_codes(uint8_t* out, const uint8_t* codes, int32_t n_bits, int64_t n, int64_t d, void* stream) {
  if (n < 0 || d < 0 || n_bits < 1 || n_bits > 8) return VP_CUDA_ARGUMENT;
  if (!n || !d) return VP_CUDA_OK;
  if (!out || !codes) return VP_CUDA_ARGUMENT;
  return launch(unpack_kernel, blocks_over(n * d, kThreads), dim3(kThreads), 0, static_cast<Stream>(stream), out, codes, n, d, planes_of(n_bits, d));
}
