// Scan of trellis codes on a device. Definition: vecpress/ops/trellis.py.
//
// The query is rounded to whole numbers of 8 bits and multiplied with the levels, which are such as they are; labels' tables are added in float. What
// that loses is bounded by the length of the row's levels, so rows that cannot reach the bar are skipped; others are summed as defined, by 16
// lanes. Few queries: a thread decodes a row four levels at a time and multiplies them with each. Batches: a warp decodes 32 rows for 64 queries'
// matrix products.
#include "core/rows.cuh"
#include "core/tiles.cuh"
#include "core/windows.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kPrepareThreads = kEmulated ? 64 : 256;
constexpr int64_t kMostPlaces = (int64_t{1} << 17) - 32;  // products with all levels, and their squares, stay below 2^31
constexpr double kLargestLevel = 128;
constexpr int kTileLabels = 4;  // that a row's state holds

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

// A square root, within 2^-21 of it.
__device__ __forceinline__ float root(int x) {
#if defined(VECPRESS_EMULATE)
  return sqrtf(static_cast<float>(x));
#else
  float y;
  asm("sqrt.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(static_cast<float>(x)));
  return y;
#endif
}

// At least the score: no number where nothing is known.
__device__ __forceinline__ float bound(const Query& query, int product, float labels, float length, const RowFactors& factors, float constant) {
  if (!(query.margin <= 3e38f)) return __uint_as_float(0x7fc00000u);
  const float middle = __fadd_rn(__fmul_rn(static_cast<float>(product), query.step), labels);
  const float away = __fadd_rn(__fmul_rn(query.lost, length), query.margin);
  // every further step keeps the order, the other way round where the scale is below 0
  return factors.finish(factors.scale < 0 ? __fsub_rn(middle, away) : __fadd_rn(middle, away), constant);
}

template <int kWindow>
struct Exact {
  Operand operand;

  __device__ __forceinline__ float chains(const Scan& s, int64_t q, int64_t row) const {
    const Row codes(s.codes, row);
    const float* query = operand.rows + q * operand.m;
    float part = 0;
#pragma unroll 4
    for (int t = lane_id() % 16; t < operand.m; t += 16)
      part = __fmaf_rn(query[t], level_of<kWindow>(operand.levels, codes.group, codes.lane, operand.windows[t]), part);
    return part;
  }
  __device__ __forceinline__ float with_rest(const Scan& s, int64_t q, int64_t row, float sum) const {
    return operand.with_labels(s, q, Row(s.codes, row), sum);
  }
};

// A thread a row, Q queries; kStaged: their numbers in shared memory behind the levels, [four][Q].
template <int kWindow, int Q, bool kStaged>
struct Rows : Exact<kWindow> {
  static constexpr bool kExact = false;
  using Exact<kWindow>::operand;
  struct Sum {
    int product;
    float labels, length;
  };

  std::size_t shared_bytes() const { return Levels<kWindow>::kAll + (kStaged ? static_cast<std::size_t>(operand.steps) * 32 * Q : 0); }

  __device__ void stage(const Scan&, unsigned char* shared, int64_t q0, int count) const {
    Levels<kWindow>::stage(shared, operand.levels);
    if (!kStaged) return;
    uint32_t* to = reinterpret_cast<uint32_t*>(shared + Levels<kWindow>::kAll);
    const uint32_t* from = reinterpret_cast<const uint32_t*>(operand.numbers);
    const int fours = operand.steps * 8;
    for (int i = static_cast<int>(threadIdx.x); i < fours * Q; i += static_cast<int>(blockDim.x))
      to[i] = i % Q < count ? from[(q0 + i % Q) * fours + i / Q] : 0;
  }

  __device__ __forceinline__ void multiply_with(uint32_t levels, const uint32_t* numbers, int (&product)[Q], int& square) const {
    square = __dp4a(static_cast<int>(levels), static_cast<int>(levels), square);
    if constexpr (Q % 4 == 0) {
#pragma unroll
      for (int i = 0; i < Q / 4; ++i) {
        const uint4 x = reinterpret_cast<const uint4*>(numbers)[i];
        product[4 * i] = __dp4a(static_cast<int>(levels), static_cast<int>(x.x), product[4 * i]);
        product[4 * i + 1] = __dp4a(static_cast<int>(levels), static_cast<int>(x.y), product[4 * i + 1]);
        product[4 * i + 2] = __dp4a(static_cast<int>(levels), static_cast<int>(x.z), product[4 * i + 2]);
        product[4 * i + 3] = __dp4a(static_cast<int>(levels), static_cast<int>(x.w), product[4 * i + 3]);
      }
    } else {
      product[0] = __dp4a(static_cast<int>(levels), static_cast<int>(numbers[0]), product[0]);
    }
  }

  template <int Count>
  __device__ __forceinline__ void sums(const Scan& s, const unsigned char* shared, const Row& row, Sum (&out)[Count]) const {
    static_assert(Count == Q && (kStaged || Q == 1), "");
    const int64_t q0 = static_cast<int64_t>(blockIdx.y) * Q;
    const uint32_t* numbers = kStaged ? reinterpret_cast<const uint32_t*>(shared + Levels<kWindow>::kAll)
                                      : reinterpret_cast<const uint32_t*>(operand.numbers) + q0 * operand.steps * 8;
    const Levels<kWindow> levels = {shared};
    int product[Q] = {}, square = 0;
    for (int w = 0; w < operand.count; ++w) {
      const Word word = operand.words[w];
      Ring<kWindow> ring;
      ring.load(row.group, row.lane, word);
      const uint32_t rate = word.rate;
      if (rate == 1) {
        for (int i = 0; i < word.fours; ++i, numbers += Q) multiply_with(ring.next_of_one(levels), numbers, product, square);
      } else {
        for (int i = 0; i < word.fours; ++i, numbers += Q) multiply_with(ring.next(levels, rate), numbers, product, square);
      }
    }
    const float length = root(square);
#pragma unroll
    for (int q = 0; q < Q; ++q) {
      const int64_t asked = q0 + q < s.nq ? q0 + q : s.nq - 1;
      out[q] = {product[q], operand.with_labels(s, asked, row, 0.0f), length};
    }
  }

  __device__ __forceinline__ float best(const unsigned char*, int i, const Sum& sum, const RowFactors& factors, float constant) const {
    const Query query = operand.queries[static_cast<int64_t>(blockIdx.y) * Q + i];
    return bound(query, sum.product, sum.labels, sum.length, factors, constant);
  }
};

template <int kWindow>
struct Tiles : Exact<kWindow> {
  static constexpr bool kExact = false;
  static constexpr Product kProduct = Product::kBytes;
  // Of a step's 8: rows 12 words apart, and each 8 of them another word later, are in different banks both for 32 rows' words that are written and for
  // 4 words of 8 rows that are read.
  static constexpr int kRowWords = 12;
  using Exact<kWindow>::operand;
  struct State {
    int square[2] = {0, 0};
    float length[2];
    uint32_t labels[2];
    Ring<kWindow> ring;  // of the lane's own row of 32, between steps
    int word = 0, left = 0;
    uint32_t rate = 1;
  };
  const uint8_t* queries;
  int steps;

  struct Shared {
    alignas(16) uint8_t levels[Levels<kWindow>::kAll];
    alignas(16) uint32_t rows[kTileWarps][kGroup][kRowWords];
  };
  __device__ __forceinline__ static Shared& shared() {
    __align__(16) __shared__ unsigned char memory[sizeof(Shared)];
    return *reinterpret_cast<Shared*>(memory);
  }

  __device__ __forceinline__ void begin() const { Levels<kWindow>::stage(shared().levels, operand.levels); }

  __device__ __forceinline__ uint32_t next(const Row& row, State& state) const {
    while (state.left == 0) {
      if (state.word == operand.count) return 0;
      const Word word = operand.words[state.word++];
      state.ring.load(row.group, row.lane, word);
      state.rate = word.rate;
      state.left = word.fours;
    }
    --state.left;
    const Levels<kWindow> levels = {shared().levels};
    return state.rate == 1 ? state.ring.next_of_one(levels) : state.ring.next(levels, state.rate);
  }

  // By the first half, all 32 rows are decoded, a lane a row, in the order that queries have; steps come one after the other.
  __device__ __forceinline__ void fragment(const Scan& s, int64_t group, int half, int, uint32_t (&a)[4], State& state) const {
    const int lane = lane_id(), g = lane / 4, t = lane % 4;
    uint32_t (*rows)[kRowWords] = shared().rows[threadIdx.x / 32];
    if (half == 0) {
      const Row row(s.codes, group * kGroup + lane);
      __syncwarp();  // the step before has been read
#pragma unroll 1
      for (int i = 0; i < 8; ++i) rows[lane][lane / 8 + i] = next(row, state);
      __syncwarp();
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int part = 2 * half + (i & 1);  // of 8 rows
      a[i] = rows[8 * part + g][part + t + 4 * (i >> 1)];
      state.square[i & 1] = __dp4a(static_cast<int>(a[i]), static_cast<int>(a[i]), state.square[i & 1]);
    }
  }
  // The four lanes of a row have a quarter of it each.
  __device__ __forceinline__ void gather(State& state) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      state.square[i] += __shfl_xor_sync(kAllLanes, state.square[i], 1);
      state.square[i] += __shfl_xor_sync(kAllLanes, state.square[i], 2);
      state.length[i] = root(state.square[i]);
    }
  }
  __device__ __forceinline__ void visit(const Scan& s, const Row& row, State& state, int which) const {
    state.labels[which] = 0;
    for (int v = 0; v < operand.labels; ++v) state.labels[which] |= row.byte(s.codes.head + v) << 8 * v;
  }
  __device__ __forceinline__ float best(int product, int64_t q, const State& state, int which, const RowFactors& factors, float constant) const {
    float labels = 0;
#pragma unroll 1
    for (int v = 0; v < operand.labels; ++v)
      labels = __fadd_rn(labels, __ldg(operand.tables + (q * operand.labels + v) * 256 + (state.labels[which] >> 8 * v & 255)));
    return bound(operand.queries[q], product, labels, state.length[which], factors, constant);
  }
};

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

template <int kWindow>
int scan_trellis(const VpScan& a, const Code& code, int64_t count, const uint8_t* words, const float* rows, const int8_t* levels,
                 const float* tables, int labels) {
  const auto operand = [&](const Scan& s) {
    Operand out = operand_of(s, code, count);
    out.rows = rows;
    out.tables = tables;
    out.levels = reinterpret_cast<const uint8_t*>(levels);
    out.labels = labels;
    return out;
  };
  return run_scan(
      a, operand_bytes(a.nq, count, code),
      [&](const Scan& s) {
        const Operand out = operand(s);
        const unsigned blocks = static_cast<unsigned>((count * 32 + kPrepareThreads - 1) / kPrepareThreads);
        const int failed = launch(words_kernel, dim3(blocks), dim3(kPrepareThreads), 0, s.stream, out, words, s.codes.stride,
                                  s.codes.head + labels);
        return failed ? failed : launch(queries_kernel, dim3(static_cast<unsigned>(s.nq)), dim3(kPrepareThreads), 0, s.stream, out);
      },
      [&](const Scan& s, int64_t first, int64_t last) {
        const Operand o = operand(s);
        if (s.nq >= kBatch && labels <= kTileLabels && (kEmulated || capability() >= 80))
          return launch_tiles(s, Tiles<kWindow>{{o}, o.numbers, o.steps}, first, last);
        const Rows<kWindow, 8, true> eight = {{o}};
        if (s.nq > 1 && eight.shared_bytes() <= 48 << 10) return launch_rows<8>(s, eight, eight.shared_bytes(), first, last);
        const Rows<kWindow, 1, true> one = {{o}};
        if (one.shared_bytes() <= 48 << 10) return launch_rows<1>(s, one, one.shared_bytes(), first, last);
        const Rows<kWindow, 1, false> large = {{o}};
        return launch_rows<1>(s, large, large.shared_bytes(), first, last);
      });
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

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" size_t vp_cuda_trellis_operand(const VpScan* a, const uint8_t* words, const uint8_t*, int64_t count, const int8_t*, int, const float*,
                                          int32_t) {
  Code code;
  return a && a->nq > 0 && read_words(words, count, code) ? operand_bytes(a->nq, count, code) : 0;
}

extern "C" int vp_cuda_trellis(const VpScan* a, const float* rows, const uint8_t* words, const uint8_t* words_there, int64_t count,
                               const int8_t* levels, int window, const float* tables, int32_t labels) {
  if (const int code = check_scan(a)) return code;
  Code code;
  if (!read_words(words, count, code) || labels < 0 || code.bytes + labels != a->codes.code_size - a->codes.head) return VP_CUDA_ARGUMENT;
  if ((window != 6 && window != 8) || a->codes.stride > kMostStride || a->nq >= int64_t{1} << 31) return VP_CUDA_ARGUMENT;
  if (a->nq && (!levels || (count && (!words_there || !rows)) || (labels && !tables))) return VP_CUDA_ARGUMENT;
  if (window == 6) return scan_trellis<6>(*a, code, count, words_there, rows, levels, tables, labels);
  return scan_trellis<8>(*a, code, count, words_there, rows, levels, tables, labels);
}
