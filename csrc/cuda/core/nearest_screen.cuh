// Which centroids may be a row's nearest, by the tensor cores, with a bound: the others are never measured.
//
// |x - c|^2 is least where s = <x, c> - |c|^2 / 2 is largest. Rows and centroids are rounded to float16, a row scaled by its own power of two,
// centroids by one for all, in the order in which a lane's registers take them, so that shared memory is read 16 bytes a lane. A block takes 128
// rows against all centroids, 256 at a time; every lane keeps, of each row and of the columns that fall to it (16 classes a row), the best s,
// which centroid it is, and the second best s.
//
// Bound: with X = |x|, rx = |x - x'|, C and rc the largest of the centroids' likes, x' and c' what was multiplied,
//   E = rx (C + rc) + X rc + (steps * kSumError + 2^-22) (X + rx) (C + rc) + 2^-23 C^2
// is what an s errs by: what rounding to float16 leaves out; the products' sums; s and |c|^2 / 2, each rounded once. With g = 1.1 (d + 4) 2^-24 a
// distance of the definition is the true one to a factor 1 + g, and the true one of the best s is at most D = X^2 - 2 s + 2 E. So only
// centroids within 2 E + g D of the best s can be nearest; numbers among float32's smallest add 2^-146 (d + 4). Of a class, the best may be one; if
// the second may, or more classes than are noted, the row is in doubt and is measured from all centroids.
#pragma once

#include "core/grids.cuh"
#include "core/halves.cuh"
#include "core/nearest.cuh"

namespace vecpress::cuda {

constexpr int kScreenRows = 128, kScreenColumns = 256, kScreenThreads = 256, kScreenSlots = 4;
constexpr int kStages = 3, kStageBytes = (kScreenRows + kScreenColumns) * 64;  // 32 deep
constexpr int kClasses = 16;
constexpr std::size_t kScreenShared = kStages * kStageBytes + kScreenRows * kClasses * 12;

struct ScreenRow {
  float back, length, rest, square;  // what a product is multiplied with; X, rx, X^2, rounded up. length NaN: not bounded
};
struct ScreenBook {
  unsigned largest, length, rest;  // of components, of |c|, of |c - c'|; as bits, which are ordered as the numbers are
  unsigned doubts;                 // rows in doubt
};
struct Screen {
  const float* x;          // the piece's first row
  const float* centroids;
  int64_t n, k;            // of the piece
  int d, steps;            // steps of 16, an even number
  uint4* rows;             // [tiles of 16 rows, steps, 32 lanes]
  uint4* columns;          // [tiles of 16 centroids, steps, 32 lanes]
  float* starts;           // [columns, whole tiles of 256], -|c|^2 / 2
  ScreenRow* info;         // [n]
  ScreenBook* book;
  int4* candidates;        // [n], -1: none
  uint32_t* doubtful;      // [n]
};

// ---- to float16

static __global__ void begin_screen_kernel(ScreenBook* book) { *book = {0, 0, 0, 0}; }
static __global__ void begin_piece_kernel(ScreenBook* book) { book->doubts = 0; }

static __global__ void largest_kernel(ScreenBook* book, const float* x, int64_t items) {
  unsigned largest = 0;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < items; i += static_cast<int64_t>(gridDim.x) * blockDim.x)
    largest = max(largest, __float_as_uint(x[i]) & 0x7fffffffu);
  for (int by = 16; by; by /= 2) largest = max(largest, __shfl_xor_sync(kAllLanes, largest, by));
  if (lane_id() == 0) atomicMax(&book->largest, largest);
}

// The power of two that takes `largest` (bits) to [1, 2), or 0 where it is beyond what is bounded.
__device__ __forceinline__ float scale_of(unsigned largest) {
  if (largest == 0) return 1.0f;
  const float value = __uint_as_float(largest);
  return value >= 0x1p-50f && value < 0x1p50f ? __uint_as_float((254u - (largest >> 23)) << 23) : 0.0f;
}

constexpr int kConvertWarps = kEmulated ? 2 : 8;

// A block 16 rows of x (or 16 centroids).
template <bool kColumns>
static __global__ void __launch_bounds__(kConvertWarps * 32) convert_kernel(Screen s) {
  __shared__ unsigned largest[16];
  __shared__ double squares[16], offs[16][kConvertWarps];
  const int64_t i0 = static_cast<int64_t>(blockIdx.x) * 16, count = kColumns ? s.k : s.n;
  const float* from = kColumns ? s.centroids : s.x;
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / 32, g = lane / 4, t = lane % 4;
  for (int r = warp; r < 16; r += kConvertWarps) {  // a warp a row: its largest component and its length
    unsigned most = 0;
    double square = 0;
    for (int k = lane; k < s.d && i0 + r < count; k += 32) {
      const float value = from[(i0 + r) * s.d + k];
      most = max(most, __float_as_uint(value) & 0x7fffffffu);
      square += static_cast<double>(value) * static_cast<double>(value);
    }
    for (int by = 16; by; by /= 2) {
      most = max(most, __shfl_xor_sync(kAllLanes, most, by));
      square += __shfl_xor_sync(kAllLanes, square, by);
    }
    if (lane == 0) {
      largest[r] = most;
      squares[r] = square;
    }
  }
  __syncthreads();
  const float common = kColumns ? scale_of(s.book->largest) : 0.0f;
  float scale[2];
  double off[2] = {};
  for (int h = 0; h < 2; ++h) scale[h] = kColumns ? common : scale_of(largest[g + 8 * h]);
  uint4* to = (kColumns ? s.columns : s.rows) + static_cast<int64_t>(blockIdx.x) * s.steps * 32;
  for (int step = warp; step < s.steps; step += kConvertWarps) {
    uint32_t part[2][2];  // row g or g + 8; depth 2 t or 2 t + 8
#pragma unroll
    for (int h = 0; h < 2; ++h)
#pragma unroll
      for (int p = 0; p < 2; ++p) {
        const int64_t row = i0 + g + 8 * h;
        const int k = 16 * step + 8 * p + 2 * t;
        const float low = row < count && k < s.d ? from[row * s.d + k] * scale[h] : 0.0f;
        const float high = row < count && k + 1 < s.d ? from[row * s.d + k + 1] * scale[h] : 0.0f;
        part[h][p] = two_halves(low, high);
        const float el = low - from_half(part[h][p] & 0xffff), eh = high - from_half(part[h][p] >> 16);
        off[h] += static_cast<double>(el * el + eh * eh);
      }
    to[step * 32 + lane] = kColumns ? make_uint4(part[0][0], part[0][1], part[1][0], part[1][1])
                                    : make_uint4(part[0][0], part[1][0], part[0][1], part[1][1]);
  }
  for (int h = 0; h < 2; ++h) {
    off[h] += __shfl_xor_sync(kAllLanes, off[h], 1);
    off[h] += __shfl_xor_sync(kAllLanes, off[h], 2);
    if (t == 0) offs[g + 8 * h][warp] = off[h];
  }
  __syncthreads();
  const int r = static_cast<int>(threadIdx.x);
  if (r >= 16) return;
  const float own = kColumns ? common : scale_of(largest[r]), up = 1.00001f;
  double sum = 0;
  for (int w = 0; w < kConvertWarps; ++w) sum += offs[r][w];
  const float square = static_cast<float>(squares[r]), length = static_cast<float>(sqrt(squares[r])) * up;
  const float rest = static_cast<float>(sqrt(sum)) * up / (own > 0 ? own : 1.0f);
  if (kColumns) {
    if (i0 + r < count) {
      atomicMax(&s.book->length, __float_as_uint(own > 0 ? length : __uint_as_float(0x7fc00000u)));
      atomicMax(&s.book->rest, __float_as_uint(rest));
      s.starts[i0 + r] = -0.5f * square;
    } else {
      s.starts[i0 + r] = -__uint_as_float(0x7f800000u);
    }
  } else if (i0 + r < count) {
    const float of_columns = scale_of(s.book->largest);
    const bool bounded = own > 0 && of_columns > 0;
    s.info[i0 + r] = {bounded ? 1.0f / own * (1.0f / of_columns) : 0.0f, bounded ? length : __uint_as_float(0x7fc00000u), rest, square * up};
  }
}

// ---- copies that run beside what computes

__device__ __forceinline__ void copy_sixteen(void* to, const void* from) {
#if !defined(VECPRESS_EMULATE) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(static_cast<unsigned>(__cvta_generic_to_shared(to))), "l"(from) : "memory");
#else
  *static_cast<uint4*>(to) = *static_cast<const uint4*>(from);
#endif
}
__device__ __forceinline__ void end_of_copies() {
#if !defined(VECPRESS_EMULATE) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Until all groups but the last kLeft have come.
template <int kLeft>
__device__ __forceinline__ void wait_for_copies() {
#if !defined(VECPRESS_EMULATE) && __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" ::"n"(kLeft) : "memory");
#endif
}

// ---- products

struct ClassBest {
  float best, second;
  int label;
};

// Stage `at` of the block's products: 32 deep of its rows and of 256 columns.
__device__ __forceinline__ void fetch_stage(const Screen& s, unsigned char* shared, int64_t row_tile0, int at) {
  const int half = s.steps / 2, tile0 = at / half * (kScreenColumns / 16), step = at % half * 2;
  unsigned char* to = shared + at % kStages * kStageBytes;
#pragma unroll
  for (int i = static_cast<int>(threadIdx.x); i < kStageBytes / 16; i += kScreenThreads) {
    const int tile = i / 64, lane = i % 64;  // two steps of a tile of 16 lie together
    const uint4* from = tile < kScreenRows / 16 ? s.rows + ((row_tile0 + tile) * s.steps + step) * 32
                                                : s.columns + (static_cast<int64_t>(tile0 + tile - kScreenRows / 16) * s.steps + step) * 32;
    copy_sixteen(to + i * 16, from + lane);
  }
}

static __global__ void __launch_bounds__(kScreenThreads, 1) screen_kernel(Screen s) {
  unsigned char* shared = dynamic_shared<unsigned char>();
  ClassBest* all = reinterpret_cast<ClassBest*>(shared + kStages * kStageBytes);  // [rows, classes]
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / 32, g = lane / 4, t = lane % 4, down = warp / 4, across = warp % 4;
  const int64_t i0 = static_cast<int64_t>(blockIdx.x) * kScreenRows;
  const int half = s.steps / 2, total = static_cast<int>((s.k + kScreenColumns - 1) / kScreenColumns) * half;
  const int own = across * 4 + t;  // class
#pragma unroll
  for (int i = 0; i < 8; ++i) all[(64 * down + 8 * i + g) * kClasses + own] = {-__uint_as_float(0x7f800000u), -__uint_as_float(0x7f800000u), 0};
  float sum[4][8][4] = {};
  for (int at = 0; at < kStages - 1; ++at) {
    if (at < total) fetch_stage(s, shared, i0 / 16, at);
    end_of_copies();
  }
  for (int at = 0; at < total; ++at) {
    wait_for_copies<kStages - 2>();
    __syncthreads();
    if (at + kStages - 1 < total) fetch_stage(s, shared, i0 / 16, at + kStages - 1);
    end_of_copies();
    const uint4* rows = reinterpret_cast<const uint4*>(shared + at % kStages * kStageBytes);
    const uint4* columns = rows + kScreenRows * 4;
#pragma unroll
    for (int step = 0; step < 2; ++step) {
      uint32_t a[4][4];
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const uint4 four = rows[(4 * down + i) * 64 + step * 32 + lane];
        a[i][0] = four.x, a[i][1] = four.y, a[i][2] = four.z, a[i][3] = four.w;
      }
#pragma unroll
      for (int j = 0; j < 4; ++j) {
        const uint4 four = columns[(4 * across + j) * 64 + step * 32 + lane];
        const uint32_t first[2] = {four.x, four.y}, second[2] = {four.z, four.w};
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          multiply_halves(sum[i][2 * j], a[i], first);
          multiply_halves(sum[i][2 * j + 1], a[i], second);
        }
      }
    }
    if (at % half != half - 1) continue;
    const int c0 = at / half * kScreenColumns + 64 * across + 2 * t;
    float start[16];
#pragma unroll
    for (int j = 0; j < 8; ++j) {
      const float2 two = *reinterpret_cast<const float2*>(s.starts + c0 + 8 * j);
      start[2 * j] = two.x, start[2 * j + 1] = two.y;
    }
#pragma unroll
    for (int i = 0; i < 8; ++i) {
      const int row = 64 * down + 8 * i + g;
      const float back = i0 + row < s.n ? s.info[i0 + row].back : 0.0f;
      ClassBest best = all[row * kClasses + own];
#pragma unroll
      for (int j = 0; j < 16; ++j) {
        const float value = __fmaf_rn(sum[i / 2][j / 2][i % 2 * 2 + j % 2], back, start[j]);
        best.second = fmaxf(best.second, fminf(best.best, value));
        if (value > best.best) best.label = c0 + j / 2 * 8 + j % 2;
        best.best = fmaxf(best.best, value);
      }
      all[row * kClasses + own] = best;
    }
#pragma unroll
    for (int i = 0; i < 4; ++i)
#pragma unroll
      for (int j = 0; j < 8; ++j)
#pragma unroll
        for (int c = 0; c < 4; ++c) sum[i][j][c] = 0;
  }
  __syncthreads();
  const int row = static_cast<int>(threadIdx.x);
  if (row >= kScreenRows || i0 + row >= s.n) return;
  const ClassBest* classes = all + row * kClasses;
  float most = classes[0].best;
  for (int i = 1; i < kClasses; ++i) most = fmaxf(most, classes[i].best);
  const ScreenRow info = s.info[i0 + row];
  const float C = __uint_as_float(s.book->length), rc = __uint_as_float(s.book->rest), d4 = static_cast<float>(s.d + 4), up = 1.001f;
  const float X = info.length, both = (X + info.rest) * (C + rc);
  const float E = info.rest * (C + rc) + X * rc + (static_cast<float>(s.steps) * kSumError + 0x1p-22f) * both + 0x1p-23f * C * C;
  const float D = fmaxf(info.square - 2 * most, 0.0f) + 2 * E + 0x1p-20f * (info.square + fabsf(most));
  const float margin = (2 * E + 1.1f * 0x1p-24f * d4 * D + 0x1p-146f * d4) * up + 0x1p-22f * fabsf(most);
  const float floor = most - margin;
  int found[kScreenSlots] = {-1, -1, -1, -1}, count = 0;
  bool doubtful = !(floor > -__uint_as_float(0x7f800000u) && most < __uint_as_float(0x7f800000u));
  for (int i = 0; i < kClasses; ++i) {
    doubtful |= !(classes[i].second < floor);
    if (!(classes[i].best < floor)) {
#pragma unroll
      for (int slot = 0; slot < kScreenSlots; ++slot)
        if (slot == count) found[slot] = classes[i].label;
      ++count;
    }
  }
  doubtful |= count > kScreenSlots;
  if (doubtful) {
    s.doubtful[atomicAdd(&s.book->doubts, 1u)] = static_cast<uint32_t>(i0 + row);
    found[0] = found[1] = found[2] = found[3] = -1;
  }
  s.candidates[i0 + row] = make_int4(found[0], found[1], found[2], found[3]);
}

// ---- what was found, measured by the definition

constexpr int kMeasureWarps = kEmulated ? 1 : 4, kSlab = 32;

// A lane a row, 32 rows a warp, 32 columns at a time through shared memory.
static __global__ void __launch_bounds__(kMeasureWarps * 32) measure_kernel(Screen s, int32_t* labels, float* distances) {
  __shared__ float xs[kMeasureWarps][32][kSlab + 1], cs[kMeasureWarps][32][kSlab + 1];
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t i0 = (static_cast<int64_t>(blockIdx.x) * kMeasureWarps + warp) * 32;
  if (i0 >= s.n) return;
  const int count = some_of(s.n - i0);
  const int4 four = lane < count ? s.candidates[i0 + lane] : make_int4(-1, -1, -1, -1);
  const int slots[kScreenSlots] = {four.x, four.y, four.z, four.w};
  Nearest best{__uint_as_float(0x7f800000u), 0x7fffffff};
#pragma unroll
  for (int slot = 0; slot < kScreenSlots; ++slot) {
    if (!__any_sync(kAllLanes, slots[slot] >= 0)) break;
    float sum = 0;
    for (int t0 = 0; t0 < s.d; t0 += kSlab) {
      __syncwarp();
      for (int r = 0; r < 32; ++r) {
        const int label = __shfl_sync(kAllLanes, slots[slot], r);
        const bool there = label >= 0 && t0 + lane < s.d;
        xs[warp][r][lane] = there ? s.x[(i0 + r) * s.d + t0 + lane] : 0.0f;
        cs[warp][r][lane] = there ? s.centroids[static_cast<int64_t>(label) * s.d + t0 + lane] : 0.0f;
      }
      __syncwarp();
      for (int t = 0; t < kSlab; ++t) {  // zeros behind the last add nothing: no sum of squares is -0
        const float e = __fsub_rn(xs[warp][lane][t], cs[warp][lane][t]);
        sum = __fmaf_rn(e, e, sum);
      }
    }
    const Nearest one{sum, slots[slot]};
    if (slots[slot] >= 0 && nearer(one, best)) best = one;
  }
  if (slots[0] < 0) return;
  labels[i0 + lane] = best.label;
  distances[i0 + lane] = best.distance;
}

// Rows in doubt from all centroids. Blocks stop at the number that there are.
template <class T>
static __global__ void __launch_bounds__(T::kThreads, kNearestBlocks<T>) doubtful_kernel(Screen s, int32_t* labels, float* distances) {
  __align__(16) __shared__ float shared[kNearestShared<T>];
  const int64_t doubts = s.book->doubts;
  for (int64_t i0 = static_cast<int64_t>(blockIdx.x) * T::kRows; i0 < doubts; i0 += static_cast<int64_t>(gridDim.x) * T::kRows) {
    const uint32_t* list = s.doubtful + i0;
    const Part<By::kList> x{s.x, s.d, some_of(doubts - i0), list};
    const Part<By::kRow> y{s.centroids, s.d, static_cast<int>(s.k), nullptr};
    nearest_of_tile<T>(x, y, s.d, shared, [&](int row, const Nearest& found) {
      labels[list[row]] = found.label;
      distances[list[row]] = found.distance;
    });
  }
}

}  // namespace vecpress::cuda
