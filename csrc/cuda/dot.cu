// Scan of small whole numbers on a device. Definition: vecpress/ops/dot.py.
//
// Queries and levels are rounded to whole numbers of 8 bits, whose products bound every row's score (dot_queries.cuh); the few rows whose
// bound reaches the bar are summed as the reference does, two at a time by a warp, a chain a lane. Few queries: 4 numbers an instruction, a thread a row.
// Batches: the tensor cores. Numbers of 4 bits in even steps are shifted and masked out of a code; other levels of 1, 2 and 4 bits are picked
// by byte permutes, 4 numbers each; widths of several planes are put together first (core/unpack.cuh).
#include "dot_queries.cuh"

#include "core/rows.cuh"
#include "core/tiles.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kMostQueries = 8, kBoundBytes = kMostQueries * static_cast<int>(sizeof(QueryBound));

// What both kernels know.
template <Form F, int W, bool kL2>
struct Dot {
  static constexpr bool kExact = false;
  Numbers numbers;
  const Levels* levels;
  const QueryBound* bounds;
  const float* rows;
  Factor scale;  // of squared distances, whose sums have it inside

  __device__ __forceinline__ static float bound_of(int product, const float4& b, float row_scale, float row_bias, float constant) {
    const float sum = __fmaf_rn(static_cast<float>(product), b.x, row_scale >= 0 ? b.z : b.y);
    float score = __fadd_rn(__fmul_rn(sum, row_scale), row_bias);
    if (kL2) score = __fadd_rn(score, b.w);
    return __fadd_rn(score, constant);
  }
  // -0 changes no sum.
  __device__ __forceinline__ static float bias_of(const RowFactors& f) { return f.biased ? f.bias : -0.0f; }

  // A lane's chain of 16.
  __device__ __forceinline__ float chains(const Scan& s, uint32_t q, uint32_t row) const {
    const Row codes(s.codes, row);
    const float* own = rows + static_cast<int64_t>(q) * numbers.planes.d;
    const float stretch = kL2 ? factor_value(scale, codes) : 1.0f;
    float sum = 0;
    for (int t = lane_id() % 16; t < numbers.planes.d; t += 16) {
      const float level = __ldg(levels->level + label_of(codes, numbers.planes, t)), x = __ldg(own + t);
      const float off = kL2 ? __fsub_rn(x, __fmul_rn(level, stretch)) : 0.0f;
      sum = kL2 ? __fmaf_rn(off, off, sum) : __fmaf_rn(x, level, sum);
    }
    return kL2 ? -sum : sum;
  }
};

template <Form F, int W, bool kL2>
struct Rows : Dot<F, W, kL2> {
  struct Sum {
    int product;
    float scale, bias;
  };

  __host__ __device__ static constexpr int blocks() { return kL2 ? 1 : 2; }

  // shared: bounds of kMostQueries queries, then their bytes
  __device__ void stage(const Scan&, unsigned char* shared, int64_t q0, int count) const {
    const int thread = static_cast<int>(threadIdx.x);
    if (thread < count) reinterpret_cast<float4*>(shared)[thread] = reinterpret_cast<const float4*>(this->bounds)[q0 + thread];
    if (count > 1) stage_bytes<kMostQueries>(this->numbers, shared + kBoundBytes, q0, count);
    else stage_bytes<1>(this->numbers, shared + kBoundBytes, q0, count);
  }
  template <int Q>
  __device__ __forceinline__ void sums(const Scan&, const unsigned char* shared, const Row& row, Sum (&out)[Q]) const {
    int products[Q];
    Gathered gathered;
    products_of<F, W, kL2, Q>(row, this->numbers, reinterpret_cast<const uint4*>(shared + kBoundBytes), products, gathered);
    RowBound own = {1.0f, 0.0f};
    if (kL2) own = row_bound(*this->levels, gathered, this->numbers.planes.d, factor_value(this->scale, row));
#pragma unroll
    for (int q = 0; q < Q; ++q) out[q] = {products[q], own.scale, own.bias};
  }
  __device__ __forceinline__ float best(const unsigned char* shared, int i, const Sum& sum, const RowFactors& factors, float constant) const {
    const float4 bound = reinterpret_cast<const float4*>(shared)[i];
    return this->bound_of(sum.product, bound, kL2 ? sum.scale : factors.scale, kL2 ? sum.bias : this->bias_of(factors), constant);
  }
};

template <Form F, int W, bool kL2>
struct Tiles : Dot<F, W, kL2> {
  static constexpr Product kProduct = Product::kBytes;
  struct Both {
    Gathered gathered[2];
  };
  struct Nothing {};
  using State = std::conditional_t<kL2, Both, Nothing>;
  const uint8_t* queries;
  int steps;

  __host__ __device__ static constexpr int blocks() { return F == Form::kJoint || (F == Form::kBytes && kL2) ? 1 : 2; }
  __device__ __forceinline__ void fragment(const Scan& s, int64_t group, int half, int step, uint32_t (&a)[4], State& state) const {
    fragment_of<F, W>(s.codes, this->numbers, group, half, step, a);
    if constexpr (kL2) {
      const uint32_t* valid = reinterpret_cast<const uint32_t*>(this->numbers.valid) + 8 * step + lane_id() % 4;
      const uint32_t early = __ldg(valid), late = __ldg(valid + 4);
      state.gathered[0].add(a[0], early);
      state.gathered[0].add(a[2], late);
      state.gathered[1].add(a[1], early);
      state.gathered[1].add(a[3], late);
    }
  }
  __device__ __forceinline__ void fetch_ahead(const Scan& s, int64_t group, int step) const { fetch_numbers<F, W>(s.codes, group, step, kSlab); }
  // The four lanes of a row have a quarter of it each.
  __device__ __forceinline__ void gather(State& state) const {
    if constexpr (kL2) {
#pragma unroll
      for (int which = 0; which < 2; ++which)
#pragma unroll
        for (int by = 1; by < 4; by *= 2) {
          state.gathered[which].sum += __shfl_xor_sync(kAllLanes, state.gathered[which].sum, by);
          state.gathered[which].square += __shfl_xor_sync(kAllLanes, state.gathered[which].square, by);
        }
    }
  }
  // A lane's row is one of the rows g and g + 8 of lane 4 g, in the half that it is in.
  __device__ __forceinline__ void settle(const Scan&, const Row& row, const State (&state)[2], RowFactors& out) const {
    if constexpr (kL2) {
      Gathered own;
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const Gathered& theirs = state[i / 2].gathered[i % 2];
        const int from = lane_id() % 8 * 4, sum = __shfl_sync(kAllLanes, theirs.sum, from), square = __shfl_sync(kAllLanes, theirs.square, from);
        if (lane_id() / 8 == i) own.sum = sum, own.square = square;
      }
      const RowBound bound = row_bound(*this->levels, own, this->numbers.planes.d, factor_value(this->scale, row));
      out.scale = bound.scale;
      out.bias = bound.bias;
      out.biased = true;
    }
  }
  __device__ __forceinline__ float best(int product, int64_t q, const State&, int, const RowFactors& factors, float constant) const {
    const float4 bound = __ldg(reinterpret_cast<const float4*>(this->bounds + q));
    return this->bound_of(product, bound, factors.scale, this->bias_of(factors), constant);
  }
};

struct Operand {
  QueryOutputs out;
  Levels* levels;
};

std::size_t operand_bytes(int64_t nq, int64_t steps) {
  return aligned(sizeof(Levels)) + aligned(static_cast<std::size_t>(nq) * sizeof(QueryBound)) + aligned(static_cast<std::size_t>(steps) * kDeep) +
         aligned(static_cast<std::size_t>(nq * steps) * kDeep);
}

Operand operand_of(void* memory, int64_t nq, int64_t steps) {
  uint8_t* at = static_cast<uint8_t*>(memory);
  Operand out;
  out.levels = reinterpret_cast<Levels*>(at);
  at += aligned(sizeof(Levels));
  out.out.bounds = reinterpret_cast<QueryBound*>(at);
  at += aligned(static_cast<std::size_t>(nq) * sizeof(QueryBound));
  out.out.valid = at;
  out.out.bytes = at + aligned(static_cast<std::size_t>(steps) * kDeep);
  return out;
}

struct Request {
  const float* rows;
  const float* levels;
  int64_t d;
  int n_bits;
};

// Numbers of even levels as they are multiplied: `first` + `times` c.
template <Form F, int W, bool kL2>
int scan_form(const VpScan& a, const Request& r, int first_number, int times) {
  const Planes planes = planes_of(r.d, r.n_bits, a.codes.head);
  const int steps = static_cast<int>(steps_of<F, W>(r.d, a.codes.code_size));
  const std::size_t row = static_cast<std::size_t>(steps) * kDeep;
  return run_scan(
      a, operand_bytes(a.nq, steps),
      [&](const Scan& s) {
        const Operand o = operand_of(s.operand, s.nq, steps);
        const int code = launch(levels_kernel, dim3(1), dim3(kLevelThreads), 0, s.stream, o.levels, r.levels, r.n_bits, first_number, times);
        const int threads = kEmulated ? 64 : 128;
        return first_of(code, launch(queries_kernel<F, W>, dim3(static_cast<unsigned>((s.nq + 1) * 32 / threads + 1)),
                                     dim3(static_cast<unsigned>(threads)), 0, s.stream, o.out, o.levels, r.rows, s.nq, planes, steps, kL2));
      },
      [&](const Scan& given, int64_t first, int64_t last) {
        const Operand o = operand_of(given.operand, given.nq, steps);
        Scan s = given;
        if (kL2) s.scale = {kNone, 0, 1.0f, nullptr};
        const bool listed = F == Form::kJoint && r.levels, few = F == Form::kPick || (listed && r.n_bits <= 3);
        const Numbers numbers = {planes, steps, o.out.bytes, o.out.valid, listed ? o.levels->number : nullptr,
                                 few ? reinterpret_cast<const uint4*>(o.levels->picks) : nullptr};
        const Dot<F, W, kL2> common = {numbers, o.levels, o.out.bounds, r.rows, given.scale};
        // rows' kernels keep a whole query in shared memory, tiles a piece of it
        const bool fits = row + kBoundBytes + (1 << 10) <= static_cast<std::size_t>(shared_of_block());
        if ((s.nq >= kBatch || !fits) && (kEmulated || capability() >= 80))
          return launch_tiles(s, Tiles<F, W, kL2>{common, o.out.bytes, steps}, first, last);
        const Rows<F, W, kL2> rows = {common};
        if (s.nq == 1 || row * kMostQueries > 40 << 10) return launch_rows<1>(s, rows, row + kBoundBytes, first, last);
        return launch_rows<kMostQueries>(s, rows, row * kMostQueries + kBoundBytes, first, last);
      });
}

template <bool kL2>
int scan_metric(const VpScan& a, const Request& r) {
  const int most = (1 << r.n_bits) - 1;
  if (r.n_bits == 1) return scan_form<Form::kPick, 1, kL2>(a, r, -most, 2);
  if (r.n_bits == 2) return scan_form<Form::kPick, 2, kL2>(a, r, -most, 2);
  if (r.n_bits == 4 && r.levels) return scan_form<Form::kPick, 4, kL2>(a, r, 0, 1);
  if (r.n_bits == 4) return scan_form<Form::kSplit, 4, kL2>(a, r, 0, 1);
  if (r.n_bits == 8 && !r.levels) return scan_form<Form::kBytes, 8, kL2>(a, r, -128, 1);
  return scan_form<Form::kJoint, 0, kL2>(a, r, 0, 1);
}

int64_t steps_for(int64_t d, int64_t code_size, int n_bits, bool levels) {
  if (n_bits == 1) return steps_of<Form::kPick, 1>(d, code_size);
  if (n_bits == 2) return steps_of<Form::kPick, 2>(d, code_size);
  if (n_bits == 4) return steps_of<Form::kPick, 4>(d, code_size);
  return n_bits == 8 && !levels ? steps_of<Form::kBytes, 8>(d, code_size) : steps_of<Form::kJoint, 0>(d, code_size);
}

bool good(const VpScan* a, int64_t d, int n_bits) {
  return a && d >= 0 && d < int64_t{1} << 28 && n_bits >= 1 && n_bits <= 8 && a->codes.head >= 0 &&
         a->codes.code_size - a->codes.head == packed_size(d, n_bits);
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" size_t vp_cuda_dot_operand(const VpScan* a, int64_t d, const float* levels, int32_t n_bits, int32_t) {
  return good(a, d, n_bits) && a->nq > 0 ? operand_bytes(a->nq, steps_for(d, a->codes.code_size, n_bits, levels)) : 0;
}

extern "C" int vp_cuda_dot(const VpScan* a, const float* rows, int64_t d, const float* levels, int32_t n_bits, int32_t l2) {
  if (const int code = check_scan(a)) return code;
  if (!good(a, d, n_bits) || (a->nq && d && !rows) || (l2 && a->bias.kind)) return VP_CUDA_ARGUMENT;
  return by_parts(*a, [&](const VpScan& part, int64_t q0) {
    const Request request = {rows + q0 * d, levels, d, n_bits};
    return l2 ? scan_metric<true>(part, request) : scan_metric<false>(part, request);
  });
}
