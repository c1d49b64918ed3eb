// Scan `dot` before any row is read: levels and queries as whole numbers of 8 bits, and the bound of what that loses.
//
// A level is base + step N + r with a whole number N and |r| <= error; a query's component is f X + e with a whole number X. So
//
//   sum of q l = base sum of q + step (f sum of X N + sum of e N) + sum of q r
//
// and with N between middle - half and middle + half, it lies at f step P + center, P = sum of X N, center = base sum of q + step middle sum of e,
// and beside that by at most
//
//   step half sum of |e|  +  error sum of |q|  +  (d / 16 + 8) 2^-24 largest sum of |q|
//
// the last for the reference's chains: ceil(d / 16) multiply-adds and 4 additions, each rounded once. Numbers too small for float32's
// relative roundings add 2^-149 an operation. P becomes a float and is multiplied and added in float32: 3 roundings, of no more than
// f step sum of |X| |N| + |center| + what is above, each 2^-24 of it: 2^-21 is allowed. What follows the sum, scale, bias and constant, is
// computed as the
// reference computes it, and every rounded step is monotone: from a sum that is no less comes a score that is no less, or, for a negative
// scale, from one that is no more. Infinite factors keep that order, as what is no number counts as -inf.
//
// Squared distances: |q|^2 - 2 s <q, l> + s^2 |l|^2. With y = s l rounded, the reference's e = q - y is off by 2^-24 (|y| + |e|), and the sum of
// squares is then off by at most 2^-24 (|y|^2 + 3 |e|^2), and by its chains (d / 16 + 5) 2^-24 |e|^2, where |e|^2 <= 2 (|q|^2 + |y|^2). With 8 more
// for what is computed here, (d / 8 + 64) 2^-24 (|q|^2 + |y|^2) is more than all. |l| lies within error sqrt(d) of the length of base + step N.
#pragma once

#include "core/numbers.cuh"
#include "core/scan.cuh"

namespace vecpress::cuda {
namespace {

constexpr double kLargestScore = 1e37, kSmallestStep = 1e-30;  // as csrc/core/screen.inl has them, and for the same reasons
constexpr int kMostDimensions = 131000;                        // with more, sums of products of two bytes might not fit
constexpr int kLevelThreads = kEmulated ? 64 : 256;
constexpr int kMostSteps = 254;

struct alignas(16) Levels {
  uint32_t picks[4];
  float level[256];
  int8_t number[256];
  double base, step, error, largest, middle, half, size;  // size: of the largest number
  int usable;
};

// What becomes of a product: float(P) step + low or high. Not numbers where there is no bound.
struct alignas(16) QueryBound {
  float step, low, high, extra;  // extra: of squared distances, less |q|^2
};

// How far levels are from whole steps, `most` of them from the lowest to the highest.
__device__ inline double lost_by(const float* level, int count, double low, double span, int most) {
  const double step = span / most, inverse = most / span;
  double lost = 0;
  for (int c = 0; c < count; ++c) {
    const double number = floor((level[c] - low) * inverse + 0.5), off = fabs(level[c] - low - step * number);
    lost = off > lost ? off : lost;
  }
  return lost;
}

// One block. `first`, `times`: of even levels, whose numbers are first + times c.
__global__ void levels_kernel(Levels* out, const float* given, int n_bits, int first, int times) {
  __shared__ float level[256];
  __shared__ double lost[kMostSteps + 1];
  const int count = 1 << n_bits, thread = static_cast<int>(threadIdx.x);
  for (int c = thread; c < 256; c += kLevelThreads) {
    level[c] = c >= count ? 0.0f : given ? given[c] : static_cast<float>(c) - static_cast<float>(count - 1) * 0.5f;
    out->level[c] = level[c];
  }
  __syncthreads();
  float low = level[0], high = level[0], largest = 0;
  bool good = true;
  for (int c = 0; c < count; ++c) {
    const float x = level[c], size = fabsf(x);
    low = x < low ? x : low;
    high = x > high ? x : high;
    largest = size > largest ? size : largest;
    good = good && size <= kLargestScore;  // not where it is no number
  }
  const double span = static_cast<double>(high) - low;
  // the count of steps for which levels are nearest to whole numbers; levels that are multiples of one number lose nothing
  const bool searched = given && good && span > 0;
  if (searched) {
    for (int most = 64 + thread; most <= kMostSteps; most += kLevelThreads)
      lost[most] = count <= 32 || most == kMostSteps || most == kMostSteps / 2 ? lost_by(level, count, low, span, most) : span;
  }
  __syncthreads();
  int most = kMostSteps;
  if (searched)
    for (int other = kMostSteps; other >= 64; --other)
      if (lost[other] < lost[most]) most = other;
  const int origin = (most + 1) / 2;
  const double step = !given ? 1.0 / times : span > 0 ? span / most : 1.0;
  for (int c = thread; c < 256; c += kLevelThreads) {
    int number = 0;
    if (c < count && !given) number = first + times * c;
    if (c < count && searched) number = static_cast<int>(floor((level[c] - static_cast<double>(low)) * (most / span) + 0.5)) - origin;
    out->number[c] = static_cast<int8_t>(number);
    if (c < 16) reinterpret_cast<int8_t*>(out->picks)[c] = static_cast<int8_t>(number);
  }
  if (thread) return;
  out->step = step;
  out->error = searched ? lost[most] + 0x1p-44 * (span + largest) : 0;
  out->base = !given ? low - step * first : searched ? low + step * origin : low;
  out->largest = largest;
  const int lowest = !given ? first : searched ? -origin : 0, highest = !given ? first + times * (count - 1) : searched ? most - origin : 0;
  out->middle = 0.5 * (lowest + highest);
  out->half = 0.5 * (highest - lowest);
  out->size = -lowest > highest ? -lowest : highest;
  out->usable = good && span >= 0;
}

__device__ __forceinline__ double warp_sum(double x) {
  for (int by = 16; by; by /= 2) x += __shfl_xor_sync(kAllLanes, x, by);
  return x;
}

struct QueryOutputs {
  uint8_t* bytes;  // [nq, steps, 32]
  uint8_t* valid;  // [steps, 32]
  QueryBound* bounds;
};

// A warp a query; the last warp makes `valid`.
template <Form F, int W>
__global__ void queries_kernel(QueryOutputs out, const Levels* given, const float* rows, int64_t nq, Planes planes, int steps, bool distances) {
  const int64_t q = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  const int lane = lane_id(), d = planes.d, size = steps * kDeep;
  if (q > nq) return;
  if (q == nq) {
    for (int i = lane; i < size; i += 32) out.valid[i] = dimension_at<F, W>(planes, i / kDeep, i % kDeep) >= 0 ? 255 : 0;
    return;
  }
  const Levels& levels = *given;
  const float* row = rows + q * d;
  float largest = 0;
  double nothing = 0, absolute = 0, sum = 0, square = 0;
  for (int t = lane; t < d; t += 32) {
    const double x = row[t];
    largest = max(largest, fabsf(row[t]));
    nothing += x - x;  // not a number where one is infinite or none
    absolute += fabs(x);
    sum += x;
    square += x * x;
  }
  for (int by = 16; by; by /= 2) largest = max(largest, __shfl_xor_sync(kAllLanes, largest, by));
  nothing = warp_sum(nothing), absolute = warp_sum(absolute), sum = warp_sum(sum), square = warp_sum(square);
  const double magnitude = absolute * levels.largest, factor = largest > 0 ? largest / 127.0 : 1.0;
  const bool usable = levels.usable && nothing == 0 && magnitude <= kLargestScore && square <= kLargestScore && d <= kMostDimensions &&
                      factor >= kSmallestStep && factor * levels.step >= kSmallestStep;
  double lost = 0, lost_sum = 0, numbers = 0;
  for (int i = lane; i < size; i += 32) {
    const int t = usable ? dimension_at<F, W>(planes, i / kDeep, i % kDeep) : -1;
    int number = 0;
    if (t >= 0) {
      const double x = row[t];
      number = static_cast<int>(floor(x / factor + 0.5));
      number = number > 127 ? 127 : number < -127 ? -127 : number;
      const double off = x - factor * number;
      lost += fabs(off);
      lost_sum += off;
      numbers += number < 0 ? -number : number;
    }
    out.bytes[q * size + i] = static_cast<uint8_t>(number);
  }
  lost = warp_sum(lost), lost_sum = warp_sum(lost_sum), numbers = warp_sum(numbers);
  if (lane) return;
  const float none = __uint_as_float(0x7fffffffu);
  QueryBound bound = {0.0f, none, none, none};
  if (usable) {
    const double step = factor * levels.step, center = levels.base * sum + levels.step * levels.middle * lost_sum;
    const double chains = 0x1p-24 * (1 + 0x1p-10) * (d / 16.0 + 8) * magnitude + (d + 64) * 0x1p-149;
    const double slack = (levels.step * levels.half * lost + levels.error * absolute + chains) * (1 + 0x1p-18) +
                         0x1p-21 * (step * numbers * levels.size + fabs(levels.base) * absolute + magnitude);
    bound.step = static_cast<float>(step);
    bound.low = static_cast<float>(center - slack);
    bound.high = static_cast<float>(center + slack);
    const double off = 0x1p-24 * (d / 8.0 + 64);
    bound.extra = distances ? static_cast<float>((off - 1) * square + (d + 64) * 0x1p-148) : 0.0f;
  }
  out.bounds[q] = bound;
}

// What a row's distances are beside the products: 2 s, and -s^2 |l|^2 from above; not a number where there is no bound.
struct RowBound {
  float scale, bias;
};

__device__ inline RowBound row_bound(const Levels& levels, const Gathered& row, int d, float s) {
  const double base = levels.base, step = levels.step, room = levels.error * sqrt(static_cast<double>(d));
  const double square = d * base * base + 2 * base * step * row.sum + step * step * row.square, off = 0x1p-44 * levels.largest * levels.largest * d;
  const double length = sqrt(square > off ? square - off : 0.0), least = length > room ? length - room : 0.0;
  const double most = sqrt(square > 0 ? square + off : off) + room, scale = static_cast<double>(s) * s, above = scale * most * most;
  if (!(above <= kLargestScore)) return {__fmul_rn(2.0f, s), __uint_as_float(0x7fffffffu)};
  return {__fmul_rn(2.0f, s), static_cast<float>(0x1p-24 * (d / 8.0 + 64) * above - scale * least * least)};
}

}  // namespace
}  // namespace vecpress::cuda
