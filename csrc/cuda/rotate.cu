// A random rotation by signs, fast Hadamard transforms and Givens rotations. Definition: vecpress/ops/rotate.py.
//
// A block a row, the row in shared memory (in the result itself where it is too long). Four strides of a transform are done at a time, with 16
// numbers in registers: three passes over a row of 4096, not twelve. A number in 16 is left out, which parts the banks.
#include "core/grids.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kRounds = 4, kMostThreads = kEmulated ? 64 : 512, kRadix = 16;

struct Rotation {
  float* out;
  const float* x;
  const uint8_t* signs;  // [4, ceil(d / 8)]
  int64_t n;
  int d, w;
  bool inverse, shared;
};

// A row's numbers, in shared memory with gaps.
struct Numbers {
  float* data;
  bool gaps;
  __device__ __forceinline__ float& operator[](int t) const { return data[gaps ? t + t / kRadix : t]; }
};

// kCount numbers h apart, all strides h, 2 h, ... of them.
template <int kCount>
__device__ __forceinline__ void transform_some(const Numbers& z, int first, int w, int h, float scale) {
  for (int i = static_cast<int>(threadIdx.x); i < w / kCount; i += static_cast<int>(blockDim.x)) {
    const int at = first + i / h * h * kCount + i % h;
    float v[kCount];
#pragma unroll
    for (int j = 0; j < kCount; ++j) v[j] = z[at + j * h];
#pragma unroll
    for (int by = 1; by < kCount; by *= 2)
#pragma unroll
      for (int j = 0; j < kCount; ++j)
        if (!(j & by)) {
          const float a = v[j], b = v[j + by];
          v[j] = __fadd_rn(a, b);
          v[j + by] = __fsub_rn(a, b);
        }
#pragma unroll
    for (int j = 0; j < kCount; ++j) z[at + j * h] = h * kCount == w ? __fmul_rn(v[j], scale) : v[j];
  }
}

// The transform of w numbers from `first` on, times sqrt(1 / w).
__device__ inline void transform(const Numbers& z, int first, int w, float scale) {
  int h = 1;
  for (; h * kRadix <= w; h *= kRadix) {
    transform_some<kRadix>(z, first, w, h, scale);
    __syncthreads();
  }
  const int left = w / h;
  if (left == 8) transform_some<8>(z, first, w, h, scale);
  if (left == 4) transform_some<4>(z, first, w, h, scale);
  if (left == 2) transform_some<2>(z, first, w, h, scale);
  if (w == 1 && threadIdx.x == 0) z[first] = __fmul_rn(z[first], scale);
  __syncthreads();
}

__device__ inline void flip(const Numbers& y, const uint8_t* signs, int d) {
  for (int t = static_cast<int>(threadIdx.x); t < d; t += static_cast<int>(blockDim.x))
    if (signs[t / 8] >> (7 - t % 8) & 1) y[t] = -y[t];
  __syncthreads();
}

__device__ inline void halves(const Numbers& y, int d, float c) {
  for (int t = static_cast<int>(threadIdx.x); t < d / 2; t += static_cast<int>(blockDim.x)) {
    const float a = y[t], b = y[t + d / 2];
    y[t] = __fmul_rn(__fadd_rn(a, b), c);
    y[t + d / 2] = __fmul_rn(__fsub_rn(a, b), c);
  }
  __syncthreads();
}

__global__ void __launch_bounds__(kMostThreads) rotate_kernel(Rotation a) {
  const int d = a.d, bytes = (d + 7) / 8, threads = static_cast<int>(blockDim.x);
  const float scale = static_cast<float>(sqrt(1.0 / a.w)), half = static_cast<float>(sqrt(0.5));
  for (int64_t row = blockIdx.x; row < a.n; row += gridDim.x) {
    const Numbers y{a.shared ? dynamic_shared<float>() : a.out + row * d, a.shared};
    for (int t = static_cast<int>(threadIdx.x); t < d; t += threads) y[t] = a.x[row * d + t];
    __syncthreads();
    for (int i = 0; i < kRounds; ++i) {
      const int r = a.inverse ? kRounds - 1 - i : i, first = r % 2 ? d - a.w : 0;
      if (!a.inverse) {
        flip(y, a.signs + r * bytes, d);
        transform(y, first, a.w, scale);
      }
      if (a.w < d) halves(y, d, half);
      if (a.inverse) {
        transform(y, first, a.w, scale);
        flip(y, a.signs + r * bytes, d);
      }
    }
    if (a.shared) {
      for (int t = static_cast<int>(threadIdx.x); t < d; t += threads) a.out[row * d + t] = y[t];
      __syncthreads();
    }
  }
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_rotate(float* out, const float* x, const uint8_t* signs, int64_t n, int64_t d, int inverse, void* stream) {
  if (n < 0 || d < 1 || d > INT32_MAX / 2) return VP_CUDA_ARGUMENT;
  if (!n) return VP_CUDA_OK;
  if (!out || !x || !signs || out == x) return VP_CUDA_ARGUMENT;
  int w = 1;
  while (2 * int64_t{w} <= d) w *= 2;
  const std::size_t bytes = static_cast<std::size_t>(d + d / kRadix + 1) * sizeof(float), most = kEmulated ? 4 << 10 : 48 << 10;
  const bool shared = bytes <= most;
  int threads = 32;
  while (threads < kMostThreads && threads * kRadix < w) threads *= 2;
  const int64_t blocks = n < static_cast<int64_t>(multiprocessors()) * 64 ? n : static_cast<int64_t>(multiprocessors()) * 64;
  return launch(rotate_kernel, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), shared ? bytes : 0,
                static_cast<Stream>(stream), Rotation{out, x, signs, n, static_cast<int>(d), w, inverse != 0, shared});
}
