// What a scan of trellis codes (trellis.cu) is prepared with: where words lie, and queries as whole numbers of 8 bits, with a proven bound.
#pragma once

#include "core/scan.cuh"
#include "core/windows.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kPrepareThreads = kEmulated ? 64 : 256;
constexpr int64_t kMostPlaces = (int64_t{1} << 17) - 32;  // products with all levels, and their squares, stay below 2^31
constexpr double kLargestLevel = 128;

// What a query's whole numbers are multiplied with, and what bounds the sums: score within step * product + labels +- (lost * length + margin).
struct alignas(16) Query {
  float step, lost, margin, unused;  // an infinite margin: there is no bound
};

struct Code {  // host's summary of the words
  int64_t bytes = 0, fours = 0, components = 0;
  int steps() const { return static_cast<int>((fours + 7) / 8); }
};

struct Operand {
  Word* words;       // [count]
  Window* windows;   // [components]
  Query* queries;    // [nq]
  uint8_t* numbers;  // [nq, steps, 32], four components of a word after the other
  const float* rows;
  const float* tables;  // [nq, labels, 256]
  const uint8_t* levels;
  int count, m, steps, labels;

  // The row's label tables added, in order.
  __device__ __forceinline__ float with_labels(const Scan& s, int64_t q, const Row& row, float sum) const {
#pragma unroll 1
    for (int v = 0; v < labels; ++v) sum = __fadd_rn(sum, __ldg(tables + (q * labels + v) * 256 + row.byte(s.codes.head + v)));
    return sum;
  }
};

std::size_t operand_bytes(int64_t nq, int64_t count, const Code& code) {
  return aligned(static_cast<std::size_t>(count) * sizeof(Word)) + aligned(static_cast<std::size_t>(code.components) * sizeof(Window)) +
         aligned(static_cast<std::size_t>(nq) * sizeof(Query)) + aligned(static_cast<std::size_t>(nq) * static_cast<std::size_t>(code.steps()) * 32);
}

// What words come to; false for what are none.
bool read_words(const uint8_t* words, int64_t count, Code& out) {
  if (count < 0 || (count && !words)) return false;
  for (int64_t i = 0; i < count; ++i) {
    const int size = words[2 * i], rate = words[2 * i + 1];
    if (size < 1 || size > 8 || rate < 1 || rate > kRates) return false;
    out.bytes += size;
    out.fours += fours_of(size, rate);
    out.components += 8 * size / rate;
    if (4 * out.fours > kMostPlaces) return false;
  }
  return true;
}

Operand operand_of(const Scan& s, const Code& code, int64_t count) {
  uint8_t* at = static_cast<uint8_t*>(s.operand);
  Operand out = {};
  out.words = reinterpret_cast<Word*>(at);
  at += aligned(static_cast<std::size_t>(count) * sizeof(Word));
  out.windows = reinterpret_cast<Window*>(at);
  at += aligned(static_cast<std::size_t>(code.components) * sizeof(Window));
  out.queries = reinterpret_cast<Query*>(at);
  at += aligned(static_cast<std::size_t>(s.nq) * sizeof(Query));
  out.numbers = at;
  out.count = static_cast<int>(count);
  out.m = static_cast<int>(code.components);
  out.steps = code.steps();
  return out;
}

// A warp a word: where its bytes and its windows' lie.
__global__ void words_kernel(Operand out, const uint8_t* words, int stride, int first_byte) {
  const int w = static_cast<int>((blockIdx.x * blockDim.x + threadIdx.x) / 32), lane = lane_id();
  if (w >= out.count) return;
  int byte = 0, four = 0, component = 0;
  for (int i = lane; i < w; i += 32) {
    const int size = words[2 * i], rate = words[2 * i + 1];
    byte += size;
    four += fours_of(size, rate);
    component += 8 * size / rate;
  }
  for (int by = 16; by; by /= 2) {
    byte += __shfl_xor_sync(kAllLanes, byte, by);
    four += __shfl_xor_sync(kAllLanes, four, by);
    component += __shfl_xor_sync(kAllLanes, component, by);
  }
  const int size = words[2 * w], rate = words[2 * w + 1];
  byte += first_byte;
  if (lane == 0) out.words[w] = word_at(stride, byte, size, rate, four, component);
  for (int t = lane; t < 8 * size / rate; t += 32) out.windows[component + t] = window_at(stride, byte, size, rate, t);
}

// Of all threads of a block.
template <class T, class F>
__device__ inline T of_block(T value, T* shared, F both) {
  for (int by = 16; by; by /= 2) value = both(value, __shfl_xor_sync(kAllLanes, value, by));
  __syncthreads();
  if (lane_id() == 0) shared[threadIdx.x / 32] = value;
  __syncthreads();
  for (int i = 0; i < static_cast<int>(blockDim.x) / 32; ++i) value = i ? both(value, shared[i]) : shared[0];
  return value;
}

__device__ __forceinline__ float larger(float a, float b) { return a > b ? a : b; }

// A block a query.
__global__ void __launch_bounds__(kPrepareThreads) queries_kernel(Operand out) {
  __shared__ double sums[kPrepareThreads / 32];
  __shared__ float sizes[kPrepareThreads / 32];
  const int64_t q = blockIdx.x;
  const int thread = static_cast<int>(threadIdx.x), lane = lane_id(), warp = thread / 32, warps = kPrepareThreads / 32;
  const auto add = [](double a, double b) { return a + b; };
  const float* row = out.rows + q * out.m;
  float largest = 0;
  double total = 0, labels = 0;
  for (int t = thread; t < out.m; t += kPrepareThreads) {
    largest = larger(fabsf(row[t]), largest);
    total += fabsf(row[t]);  // not finite where a component is not
  }
  for (int v = warp; v < out.labels; v += warps) {
    const float* table = out.tables + (q * out.labels + v) * 256;
    float size = 0;
    for (int c = lane; c < 256; c += 32) {
      const float entry = fabsf(table[c]);
      size = entry <= size ? size : entry;  // no number stays one
      if (!(entry <= 3e38f)) labels = HUGE_VAL;
    }
    for (int by = 16; by; by /= 2) size = larger(__shfl_xor_sync(kAllLanes, size, by), size);
    if (lane == 0) labels += size;
  }
  largest = of_block(largest, sizes, larger);
  total = of_block(total, sums, add);
  labels = of_block(labels, sums, add);
  const bool finite = total <= 1e38 && labels <= 1e38;
  const float step = !finite || !(largest >= 1e-30f) ? 1.0f : largest / 127.0f;
  const double inverse = 1.0 / step;
  double lost = 0;
  uint8_t* numbers = out.numbers + q * out.steps * 32;
  int places = 0;
  for (int w = warp; w < out.count; w += warps) {
    const Word word = out.words[w];
    for (int p = lane; p < 4 * word.fours; p += 32) {
      const bool inside = p < word.components && finite;
      const double value = inside ? row[word.component + p] : 0.0;
      double number = rint(value * inverse);
      number = number > 127 ? 127 : number < -127 ? -127 : number;
      const double rest = value - step * number;  // what is rounded here is 2^-53 of it
      lost += rest * rest;
      numbers[4 * word.four + p] = static_cast<uint8_t>(static_cast<int>(number));
    }
  }
  if (out.count) places = 4 * (out.words[out.count - 1].four + out.words[out.count - 1].fours);
  for (int p = places + thread; p < out.steps * 32; p += kPrepareThreads) numbers[p] = 0;
  lost = of_block(lost, sums, add);
  if (thread) return;
  // With levels v, whole numbers x and rest r = row - step x:  sum = step x.v + r.v + labels, and |r.v| <= |r| |v|. The definition rounds, on the
  // way of each product, m / 16 multiply-adds, 5 additions and one a label, each 2^-24 of `span` at most, which is above all that is
  // summed; so do the conversions and the operations of `bound`, below 8 and one a label. 2^-22 is four times that, so that
  // products of roundings are within too; 2^-100 is above what numbers below float32's normal ones lose. `away` has room for `root`.
  const double length = kLargestLevel * sqrt(static_cast<double>(out.m) + 128), away = sqrt(lost) * (1 + 0x1p-20);
  const double span = kLargestLevel * (total + static_cast<double>(out.m) * step) + labels + length * away;
  const double margin = 0x1p-22 * (out.m / 16 + 16 + 2 * out.labels) * span + 0x1p-100;
  Query made = {step, static_cast<float>(away), static_cast<float>(margin * (1 + 0x1p-20)), 0.0f};
  if (!finite || !(span + margin <= 0x1p100)) made.margin = HUGE_VALF;
  out.queries[q] = made;
}

}  // namespace
}  // namespace vecpress::cuda
