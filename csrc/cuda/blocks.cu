// Codes into groups of 32 rows and back, a word or a byte a thread.
#include "api.h"
#include "core/codes.cuh"
#include "core/scan.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kThreads = kEmulated ? 64 : 256;

inline unsigned blocks_for(int64_t items) {
  const int64_t wanted = (items + kThreads - 1) / kThreads, most = static_cast<int64_t>(multiprocessors()) * 32;
  return static_cast<unsigned>(wanted < most ? wanted : most);
}

// Threads go along the groups' words, so that writes are whole lines; the codes are read through the cache.
__global__ void put_kernel(uint8_t* data, int stride, int64_t first, int64_t count, const uint8_t* codes) {
  const int64_t words = padded(stride) / 4, group0 = first / kGroup, groups = groups_of(first + count) - group0;
  const int64_t items = groups * words * kGroup, step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < items; i += step) {
    const int64_t group = i / (words * kGroup), at = i % (words * kGroup);
    const int64_t chunk = at / (4 * kGroup), left = words - 4 * chunk, width = left < 4 ? left : 4, inside = at - chunk * 4 * kGroup;
    const int64_t row = (group0 + group) * kGroup + inside / width, byte = 4 * (4 * chunk + inside % width);
    uint32_t* to = reinterpret_cast<uint32_t*>(data + (group0 + group) * group_bytes(stride)) + at;
    if (row < first) continue;
    uint32_t value = 0;  // rows behind the last are zeros
    if (row < first + count) {
      const uint8_t* from = codes + (row - first) * stride;
      for (int b = 0; b < 4; ++b)
        if (byte + b < stride) value |= static_cast<uint32_t>(from[byte + b]) << 8 * b;
    }
    *to = value;
  }
}

__global__ void get_kernel(uint8_t* codes, const uint8_t* data, int stride, const int64_t* rows, int64_t count) {
  const int64_t items = count * stride, step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < items; i += step)
    codes[i] = data[place(stride, rows[i / stride], i % stride)];
}

__global__ void set_kernel(uint8_t* data, int stride, const int64_t* rows, int64_t count, const uint8_t* codes) {
  const int64_t items = count * stride, step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < items; i += step)
    data[place(stride, rows[i / stride], i % stride)] = codes[i];
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int64_t vp_cuda_codes_bytes(int64_t n, int32_t stride) { return n < 0 || stride < 0 ? 0 : groups_of(n) * group_bytes(stride); }

extern "C" int vp_cuda_put_rows(void* data, int32_t stride, int64_t first, int64_t count, const void* codes, void* stream) {
  if (stride < 0 || first < 0 || count < 0) return VP_CUDA_ARGUMENT;
  if (!count || !stride) return VP_CUDA_OK;
  if (!data || !codes) return VP_CUDA_ARGUMENT;
  const int64_t words = (groups_of(first + count) - first / kGroup) * group_bytes(stride) / 4;
  return launch(put_kernel, dim3(blocks_for(words)), dim3(kThreads), 0, static_cast<Stream>(stream), static_cast<uint8_t*>(data), stride,
                first, count, static_cast<const uint8_t*>(codes));
}

extern "C" int vp_cuda_get_rows(void* codes, const void* data, int32_t stride, const int64_t* rows, int64_t count, void* stream) {
  if (stride < 0 || count < 0) return VP_CUDA_ARGUMENT;
  if (!count || !stride) return VP_CUDA_OK;
  if (!data || !codes || !rows) return VP_CUDA_ARGUMENT;
  return launch(get_kernel, dim3(blocks_for(count * stride)), dim3(kThreads), 0, static_cast<Stream>(stream), static_cast<uint8_t*>(codes),
                static_cast<const uint8_t*>(data), stride, rows, count);
}

extern "C" int vp_cuda_set_rows(void* data, int32_t stride, const int64_t* rows, int64_t count, const void* codes, void* stream) {
  if (stride < 0 || count < 0) return VP_CUDA_ARGUMENT;
  if (!count || !stride) return VP_CUDA_OK;
  if (!data || !codes || !rows) return VP_CUDA_ARGUMENT;
  return launch(set_kernel, dim3(blocks_for(count * stride)), dim3(kThreads), 0, static_cast<Stream>(stream), static_cast<uint8_t*>(data),
                stride, rows, count, static_cast<const uint8_t*>(codes));
}
