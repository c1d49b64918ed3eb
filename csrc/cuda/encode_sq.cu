// Values rounded to the levels of their column's grid, and labels of thresholds. Definitions: vecpress/ops/encode_sq.py, quantize.py.
//
// A thread keeps its columns' grids in registers while it goes down the rows. A product with a step's inverse differs from the quotient by
// 2^-22 of it at most, three roundings of 2^-24, so both give the same label unless the product is that near to halfway between two: then
// the quotient is taken. A step without a normal inverse is always divided by.
#include "core/beyond.cuh"
#include "core/grids.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kThreads = kEmulated ? 64 : 128, kColumns = 8;  // of a thread

__global__ void begin_rows_kernel(int64_t* first, int64_t n) { *first = n; }

template <int kBits>
__global__ void __launch_bounds__(kThreads)
    encode_sq_kernel(uint8_t* out, int64_t* first, const float* x, const float* low, const float* step, float largest, int64_t n, int64_t d,
                     bool fours, bool words) {
  constexpr float kMost = (1 << kBits) - 1, kSure = 0.5f - (1 << kBits) * 0x1p-22f;
  constexpr int kBytes = kColumns * kBits / 8;
  const int64_t across = (d + kColumns - 1) / kColumns, size = (d * kBits + 7) / 8;
  const int64_t at = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (at >= across) return;
  const int64_t t0 = at * kColumns;
  float lows[kColumns], inverse[kColumns];
#pragma unroll
  for (int i = 0; i < kColumns; ++i) {
    const bool there = t0 + i < d;
    const float own = there ? step[t0 + i] : 1.0f;
    lows[i] = there ? low[t0 + i] : 0.0f;
    inverse[i] = own >= 0x1p-125f && own <= 0x1p125f ? 1.0f / own : 0.0f;  // 0: divide
  }
  for (int64_t row = blockIdx.y; row < n; row += gridDim.y) {
    const float* from = x + row * d + t0;
    float value[kColumns];
    if (fours) {
#pragma unroll
      for (int i = 0; i < kColumns; i += 4) {
        const float4 four = t0 + i < d ? *reinterpret_cast<const float4*>(from + i) : make_float4(0, 0, 0, 0);
        value[i] = four.x, value[i + 1] = four.y, value[i + 2] = four.z, value[i + 3] = four.w;
      }
    } else {
#pragma unroll
      for (int i = 0; i < kColumns; ++i) value[i] = t0 + i < d ? from[i] : 0.0f;
    }
    uint32_t code[2] = {0, 0};
    bool beyond = false;
#pragma unroll
    for (int i = 0; i < kColumns; ++i) {
      if (t0 + i >= d) continue;
      beyond |= is_beyond(value[i], largest);
      const float difference = __fsub_rn(value[i], lows[i]);
      float label = __fmul_rn(difference, inverse[i]);
      label = label > 0 ? fminf(label, kMost) : 0.0f;
      float whole = rintf(label);
      if (inverse[i] == 0 || fabsf(label - whole) > kSure) {
        label = difference / step[t0 + i];
        whole = rintf(label > 0 ? fminf(label, kMost) : 0.0f);
      }
      const uint32_t number = static_cast<uint32_t>(whole);
      code[i * kBits / 32] |= number << i * kBits % 32;
    }
    uint8_t* to = out + row * size + t0 * kBits / 8;
    const int64_t left = size - t0 * kBits / 8;
    if (words && left >= kBytes) {
      if (kBits == 8) {
        *reinterpret_cast<uint2*>(to) = make_uint2(code[0], code[1]);
      } else {
        *reinterpret_cast<uint32_t*>(to) = code[0];
      }
    } else {
#pragma unroll
      for (int b = 0; b < kBytes; ++b)
        if (b < left) to[b] = static_cast<uint8_t>(code[b / 4] >> 8 * (b % 4));
    }
    if (beyond) note_row(first, row);
  }
}

// The number of thresholds below a value, by halving. A NaN is above none.
__global__ void __launch_bounds__(kThreads) quantize_kernel(uint8_t* out, const float* x, const float* thresholds, int count, int64_t items) {
  __shared__ float bars[256];
  for (int i = static_cast<int>(threadIdx.x); i < 256; i += kThreads) bars[i] = i < count ? thresholds[i] : __uint_as_float(0x7fc00000u);
  __syncthreads();
  int highest = 1;
  while (highest <= count) highest *= 2;
  const int64_t step = static_cast<int64_t>(gridDim.x) * kThreads;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < items; i += step) {
    const float value = x[i];
    int below = 0;
    for (int by = highest / 2; by; by /= 2)
      if (value > bars[below + by - 1]) below += by;  // behind the last stands what nothing is above
    out[i] = static_cast<uint8_t>(below);
  }
}

}  // namespace

int begin_rows(int64_t* first, int64_t n, Stream stream) { return launch(begin_rows_kernel, dim3(1), dim3(1), 0, stream, first, n); }

}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_encode_sq(uint8_t* out, int64_t* first, const float* x, const float* low, const float* step, int32_t n_bits, float largest,
                                 int64_t n, int64_t d, void* stream) {
  if (n < 0 || d < 0 || !first || (n_bits != 4 && n_bits != 8)) return VP_CUDA_ARGUMENT;
  if (n && d && (!out || !x || !low || !step)) return VP_CUDA_ARGUMENT;
  const Stream on = static_cast<Stream>(stream);
  if (const int code = begin_rows(first, n, on)) return code;
  if (!n || !d) return VP_CUDA_OK;
  const int64_t across = divided_up(divided_up(d, kColumns), kThreads), size = (d * n_bits + 7) / 8;
  if (across > kMostBlocks) return VP_CUDA_ARGUMENT;
  const int64_t most = static_cast<int64_t>(multiprocessors()) * 64 / across + 1;
  const int64_t down = n < most ? n : most < 65535 ? most : 65535;
  const dim3 grid(static_cast<unsigned>(across), static_cast<unsigned>(down));
  const bool fours = d % 4 == 0 && aligned_to(x, 16), words = size % n_bits == 0 && aligned_to(out, 8);
  return n_bits == 8 ? launch(encode_sq_kernel<8>, grid, dim3(kThreads), 0, on, out, first, x, low, step, largest, n, d, fours, words)
                     : launch(encode_sq_kernel<4>, grid, dim3(kThreads), 0, on, out, first, x, low, step, largest, n, d, fours, words);
}

extern "C" int vp_cuda_quantize(uint8_t* out, const float* x, const float* thresholds, int32_t count, int64_t items, void* stream) {
  if (items < 0 || count < 1 || count > 255) return VP_CUDA_ARGUMENT;
  if (!items) return VP_CUDA_OK;
  if (!out || !x || !thresholds) return VP_CUDA_ARGUMENT;
  return launch(quantize_kernel, blocks_over(items, kThreads), dim3(kThreads), 0, static_cast<Stream>(stream), out, x, thresholds, count, items);
}
