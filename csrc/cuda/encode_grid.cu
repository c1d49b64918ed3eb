// Rows to the points of a grid that point most nearly in their direction. Definition: vecpress/ops/encode_grid.py.
//
// A warp a row, a scale a lane: each sums over the whole row, which passes through shared memory as 2-byte numbers that all lanes read together.
// About 6 instructions a number and scale, and nothing else counts.
#include "core/grids.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kWarps = kEmulated ? 2 : 4;
constexpr int kChunk = 512;  // numbers in shared memory; so many products of at most 32767 * 255 fit 32 bits

struct Grid {
  uint8_t* labels;
  double* sums;  // [n, 5]
  const float* y;
  const float* along;
  int64_t n;
  int d, n_bits;
};

struct Scales {
  int low, high, count;
  __device__ __forceinline__ int at(int j) const { return low + static_cast<int>(static_cast<int64_t>(j) * (high - low) / (count - 1)); }
  __device__ __forceinline__ int step() const { return (high - low) / (count - 1); }
};

struct Tried {
  double gain;
  int place, scale;
};

// The larger gain, of equal ones the first, in all lanes.
__device__ __forceinline__ Tried best_of_warp(Tried best) {
#pragma unroll
  for (int by = 16; by; by /= 2) {
    const Tried other{__shfl_xor_sync(kAllLanes, best.gain, by), __shfl_xor_sync(kAllLanes, best.place, by),
                      __shfl_xor_sync(kAllLanes, best.scale, by)};
    if (other.gain > best.gain || (other.gain == best.gain && other.place < best.place)) best = other;
  }
  return best;
}

__device__ __forceinline__ int magnitude(float y, float factor) { return static_cast<int>(__fadd_rn(__fmul_rn(fabsf(y), factor), 0.5f)); }
__device__ __forceinline__ uint32_t twice(uint32_t a, uint32_t scale, int shift, uint32_t most) {
  const uint32_t m = a * scale >> shift | 1;
  return m < most ? m : most;
}

// Tries a scale a lane, in turns of 32; places count from `first` on.
__device__ inline Tried try_scales(const Grid& a, const float* y, float factor, uint16_t* numbers, const Scales& scales, int first, Tried best) {
  const int lane = lane_id(), shift = 29 - a.n_bits;
  const uint32_t most = (1u << a.n_bits) - 1;
  for (int j0 = 0; j0 < scales.count; j0 += 32) {  // counts are whole turns
    const uint32_t scale = static_cast<uint32_t>(scales.at(j0 + lane));
    uint64_t product = 0, square = 0;
    for (int t0 = 0; t0 < a.d; t0 += kChunk) {
      const int here = a.d - t0 < kChunk ? a.d - t0 : kChunk;
      __syncwarp();
      for (int t = lane; t < kChunk; t += 32) numbers[t] = t < here ? static_cast<uint16_t>(magnitude(y[t0 + t], factor)) : 0;
      __syncwarp();
      uint32_t p = 0, q = 0;
      const int whole = (here + 7) / 8;
      for (int i = 0; i < whole; ++i) {
        const uint4 eight = reinterpret_cast<const uint4*>(numbers)[i];
        const uint32_t pairs[4] = {eight.x, eight.y, eight.z, eight.w};
#pragma unroll
        for (int k = 0; k < 8; ++k) {
          const uint32_t one = k % 2 ? pairs[k / 2] >> 16 : pairs[k / 2] & 0xffffu, m = twice(one, scale, shift, most);
          p += one * m;
          q += m * m;
        }
      }
      product += p;
      square += q - static_cast<uint32_t>(8 * whole - here);  // zeros behind the last count 1 each
    }
    const double whole = static_cast<double>(product), gain = whole * whole / static_cast<double>(square);
    if (gain > best.gain) best = {gain, first + j0 + lane, static_cast<int>(scale)};
  }
  return best_of_warp(best);
}

__device__ inline int best_scale(const Grid& a, const float* y, float factor, uint16_t* numbers) {
  constexpr double kNormal[9] = {0, 0, 1.0, 1.7, 2.95, 5.45, 10.1, 19.5, 39.0};
  constexpr int kCoarse[9] = {0, 0, 32, 32, 48, 96, 128, 256, 512}, kSmall = 32, kFine = 32;
  Scales scales{1, 65535, 1024};
  if (a.d >= kSmall) {
    unsigned long long squares = 0;
    for (int t = lane_id(); t < a.d; t += 32) {
      const unsigned long long one = static_cast<unsigned long long>(magnitude(y[t], factor));
      squares += one * one;
    }
    for (int by = 16; by; by /= 2) squares += __shfl_xor_sync(kAllLanes, squares, by);
    const double spread = sqrt(static_cast<double>(squares) / static_cast<double>(a.d));
    const double normal = kNormal[a.n_bits] * static_cast<double>(1 << (30 - a.n_bits)) / spread;
    const double low = normal < 16384.0 ? normal : 16384.0, high = (normal > 16384.0 ? normal : 16384.0) * 4 / 3;
    scales = {static_cast<int>(0.75 * low), static_cast<int>(high < 65535.0 ? high : 65535.0), kCoarse[a.n_bits]};
  }
  const Tried coarse = try_scales(a, y, factor, numbers, scales, 1, {-1.0, 1 << 30, scales.low});
  const int step = scales.step(), low = coarse.scale - step, high = coarse.scale + step;
  const Scales fine{low > 1 ? low : 1, high < 65535 ? high : 65535, kFine};
  return try_scales(a, y, factor, numbers, fine, 1, {coarse.gain, 0, coarse.scale}).scale;  // the coarse one comes first
}

__global__ void __launch_bounds__(kWarps * 32, 1) encode_grid_kernel(Grid a) {
  __align__(16) __shared__ uint16_t shared[kWarps][kChunk];
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / 32;
  const uint32_t most = (1u << a.n_bits) - 1;
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + warp; row < a.n; row += static_cast<int64_t>(gridDim.x) * kWarps) {
    const float* y = a.y + row * a.d;
    float largest = 0;
    for (int t = lane; t < a.d; t += 32) largest = fmaxf(largest, fabsf(y[t]));
    for (int by = 16; by; by /= 2) largest = fmaxf(largest, __shfl_xor_sync(kAllLanes, largest, by));
    const bool searched = a.n_bits > 1 && largest >= 0x1p-100f;
    const float factor = searched ? 32767.0f / largest : 0.0f;
    const uint32_t scale = searched ? static_cast<uint32_t>(best_scale(a, y, factor, shared[warp])) : 0;
    const auto doubled_at = [&](int t) {
      const uint32_t m = searched ? twice(static_cast<uint32_t>(magnitude(y[t], factor)), scale, 29 - a.n_bits, most) : 1;
      return y[t] > 0 ? static_cast<int>(m) : -static_cast<int>(m);
    };
    unsigned long long square = 0;
    for (int t = lane; t < a.d; t += 32) {
      const int doubled = doubled_at(t);
      a.labels[row * a.d + t] = static_cast<uint8_t>((doubled + static_cast<int>(most)) >> 1);
      square += static_cast<unsigned long long>(doubled * doubled);
    }
    for (int by = 16; by; by /= 2) square += __shfl_xor_sync(kAllLanes, square, by);
    // lane 8 s + l is lane l of the definition's sum s; the terms are exact
    double sum = 0;
    for (int t = lane % 8; t < a.d; t += 8) {
      const double value = y[t], point = 0.5 * doubled_at(t), w = a.along[t];
      sum += (lane < 24 ? value : point) * (lane < 8 ? value : lane < 16 ? point : w);
    }
    sum += __shfl_xor_sync(kAllLanes, sum, 4);
    sum += __shfl_xor_sync(kAllLanes, sum, 2);
    sum += __shfl_xor_sync(kAllLanes, sum, 1);
    if (lane % 8 == 0) a.sums[row * 5 + lane / 8] = sum;
    if (lane == 0) a.sums[row * 5 + 4] = 0.25 * static_cast<double>(square);
  }
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_encode_grid(uint8_t* labels, double* sums, const float* y, const float* along, int32_t n_bits, int64_t n, int64_t d,
                                   void* stream) {
  if (n < 0 || d < 1 || d > INT32_MAX / 2 || n_bits < 1 || n_bits > 8) return VP_CUDA_ARGUMENT;
  if (!n) return VP_CUDA_OK;
  if (!labels || !sums || !y || !along) return VP_CUDA_ARGUMENT;
  return launch(encode_grid_kernel, blocks_over(n, kWarps), dim3(kWarps * 32), 0, static_cast<Stream>(stream),
                Grid{labels, sums, y, along, n, static_cast<int>(d), n_bits});
}
