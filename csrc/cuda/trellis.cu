// Scan of trellis codes on a device. Definition: vecpress/ops/trellis.py.
//
// The query is rounded to whole numbers of 8 bits and multiplied with the levels, which are such as they are; labels' tables are added in float. What
// that loses is bounded by the length of the row's levels, so rows that cannot reach the bar are skipped; others are summed as defined, by 16
// lanes. Few queries: a thread decodes a row four levels at a time and multiplies them with each. Batches: a warp decodes 32 rows for 64 queries'
// matrix products.
#include "core/rows.cuh"
#include "core/tiles.cuh"
#include "trellis_queries.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kTileLabels = 4;  // that a row's state holds

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
  // Of a step's 8: rows 12 words apart, and each 8 of them another word later, are in different banks, both for a word of 32 rows, which is written,
  // and for 4 words of 8 rows, which are read.
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

  // Decoding wants more registers than two blocks leave.
  __host__ __device__ static constexpr int blocks() { return 1; }

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
  __device__ __forceinline__ float best(int product, int64_t q, const State& state, int which, const RowFactors& factors,
                                        float constant) const {
    float labels = 0;
#pragma unroll 1
    for (int v = 0; v < operand.labels; ++v)
      labels = __fadd_rn(labels, __ldg(operand.tables + (q * operand.labels + v) * 256 + (state.labels[which] >> 8 * v & 255)));
    return bound(operand.queries[q], product, labels, state.length[which], factors, constant);
  }
};

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
  if ((window != 6 && window != 8) || a->codes.stride > kMostStride) return VP_CUDA_ARGUMENT;
  if (a->nq && (!levels || (count && (!words_there || !rows)) || (labels && !tables))) return VP_CUDA_ARGUMENT;
  return by_parts(*a, [&](const VpScan& part, int64_t q0) {
    const float *its = rows + q0 * code.components, *own = tables ? tables + q0 * labels * 256 : nullptr;
    if (window == 6) return scan_trellis<6>(part, code, count, words_there, its, levels, own, labels);
    return scan_trellis<8>(part, code, count, words_there, its, levels, own, labels);
  });
}
