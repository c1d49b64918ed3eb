// A scan by the tensor cores: 32 rows a warp against 64 queries a block, for batches, where arithmetic is the limit.
//
// An operation gives
//
//   kProduct            which multiplication (core/mma.cuh)
//   steps               how many products deep a code is; queries lie as uint8[nq, steps, 32] in `queries`, in the operand's order
//   start(row)          State of a lane's rows g and g + 8 of 16, for what is gathered of their codes meanwhile
//   fragment(s, group, half, step, a, state)    the bytes of 16 rows of a group for one product
//   kExact              sum_of(product, q, state, which): the reference's sum of row g (which = 0) or g + 8; else
//   best(product, q, state, which, factors, constant): at least the score, or no number; survivors as core/survivors.cuh says
//   begin()             where there is one: what a block keeps in shared memory beside the queries, by all threads
//   fetch_ahead(s, group, step)     where there is one: asks for the codes of the products from `step` on, a slab of them
//   blocks()            where there is one: how many blocks a multiprocessor is to hold, else 2
//   settle(s, codes, state[2], factors)     where there is one: what best wants of a row instead of its factors; by a lane a row, after `gather`
//   visit(s, codes, state, which)      where there is one: what else best wants of rows g and g + 8
#pragma once

#include "core/mma.cuh"
#include "core/survivors.cuh"

namespace vecpress::cuda {

constexpr int kTileQueries = 64, kSlab = 4;  // queries of a block; products that shared memory holds of them
constexpr int kTileWarps = kEmulated ? 2 : 8;
constexpr int kQueryStride = kSlab * 32 + 32;  // bytes; 32 more part the banks of 4 queries, which are read at a time

template <class Op, class = void>
struct Settles : std::false_type {};
template <class Op>
struct Settles<Op, std::void_t<decltype(&Op::settle)>> : std::true_type {};

template <class Op, class = void>
struct Begins : std::false_type {};
template <class Op>
struct Begins<Op, std::void_t<decltype(&Op::begin)>> : std::true_type {};

template <class Op, class = void>
struct Visits : std::false_type {};
template <class Op>
struct Visits<Op, std::void_t<decltype(&Op::visit)>> : std::true_type {};

template <class Op, class = void>
struct FetchesAhead : std::false_type {};
template <class Op>
struct FetchesAhead<Op, std::void_t<decltype(&Op::fetch_ahead)>> : std::true_type {};

template <class Op>
__global__ void __launch_bounds__(kTileWarps * 32, LeastBlocks<Op, 2>::kCount) tiles_kernel(Scan s, Op op, int64_t first, int64_t last) {
  __align__(16) __shared__ uint8_t queries[kTileQueries * kQueryStride];
  const int lane = lane_id(), g = lane / 4, t = lane % 4, warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t q0 = static_cast<int64_t>(blockIdx.y) * kTileQueries;
  const int count = static_cast<int>(s.nq - q0 < kTileQueries ? s.nq - q0 : kTileQueries);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kTileWarps * kGroup;
  if constexpr (Begins<Op>::value) op.begin();  // the first slab's barriers follow
  for (int64_t base = first + static_cast<int64_t>(blockIdx.x) * kTileWarps * kGroup; base < last; base += step) {  // the same in all warps
    const int64_t row0 = base + warp * kGroup, within = row0 < last ? row0 : last - 1;
    int products[2][kTileQueries / 8][4] = {};
    typename Op::State state[2];
    for (int slab = 0; slab < op.steps; slab += kSlab) {
      const int deep = op.steps - slab < kSlab ? op.steps - slab : kSlab;
      __syncthreads();
      // words t and t + 4 of a product side by side, as lanes read them
      for (int i = static_cast<int>(threadIdx.x); i < kTileQueries * deep; i += kTileWarps * 32) {
        const int q = i % kTileQueries, part = i / kTileQueries;
        uint4 a = make_uint4(0, 0, 0, 0), b = a;
        if (q < count) {
          const uint4* from = reinterpret_cast<const uint4*>(op.queries + ((q0 + q) * op.steps + slab + part) * 32);
          a = from[0];
          b = from[1];
        }
        uint4* to = reinterpret_cast<uint4*>(queries + q * kQueryStride + part * 32);
        to[0] = make_uint4(a.x, b.x, a.y, b.y);
        to[1] = make_uint4(a.z, b.z, a.w, b.w);
      }
      __syncthreads();
      if constexpr (FetchesAhead<Op>::value) {  // what the next round reads, of these rows or of the warp's next ones
        const bool more = slab + kSlab < op.steps;
        const int64_t row = more ? within : row0 + step;
        if (row < last) op.fetch_ahead(s, row / kGroup, more ? slab + kSlab : 0);
      }
      for (int i = 0; i < deep; ++i) {
        uint32_t a[2][4];
        op.fragment(s, within / kGroup, 0, slab + i, a[0], state[0]);
        op.fragment(s, within / kGroup, 1, slab + i, a[1], state[1]);
#pragma unroll
        for (int n = 0; n < kTileQueries / 8; ++n) {
          const uint2 pair = *reinterpret_cast<const uint2*>(queries + (8 * n + g) * kQueryStride + i * 32 + 8 * t);
          const uint32_t b[2] = {pair.x, pair.y};
          multiply<Op::kProduct>(products[0][n], a[0], b);
          multiply<Op::kProduct>(products[1][n], a[1], b);
        }
      }
    }
    op.gather(state[0]);
    op.gather(state[1]);
    // a lane's own row, until others ask for it
    const int64_t own = row0 + lane < last ? row0 + lane : last - 1;
    const unsigned live = __ballot_sync(kAllLanes, row0 + lane < last && allowed(s, own));
    RowFactors own_factors(s, Row(s.codes, own));
    if constexpr (Settles<Op>::value) op.settle(s, Row(s.codes, own), state, own_factors);
    RowFactors factors[2][2] = {{own_factors, own_factors}, {own_factors, own_factors}};
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      factors[i / 2][i % 2].scale = __shfl_sync(kAllLanes, own_factors.scale, 8 * i + g);
      factors[i / 2][i % 2].bias = __shfl_sync(kAllLanes, own_factors.biased ? own_factors.bias : -0.0f, 8 * i + g);  // -0 changes no sum
    }
    if constexpr (Visits<Op>::value) {
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        const int64_t row = row0 + 8 * i + g;
        op.visit(s, Row(s.codes, row < last ? row : last - 1), state[i / 2], i % 2);
      }
    }
    const int64_t q1 = q0 + 2 * t;
    const int left = count - 2 * t;
    uint32_t passed[2] = {0, 0};  // bit 4 n + 2 column + which
#pragma unroll
    for (int n = 0; n < kTileQueries / 8; ++n)
#pragma unroll
      for (int column = 0; column < 2; ++column) {
        if (8 * n + column >= left) continue;
        const int64_t q = q1 + (8 * n + column);
        const float bar = bar_of(s, q), constant = constant_of(s, q);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          const int half = i / 2, which = i % 2, product = products[half][n][2 * which + column];
          const RowFactors& own = factors[half][which];
          float best;
          if constexpr (Op::kExact)
            best = __fadd_rn(__fadd_rn(__fmul_rn(op.sum_of(product, q, state[half], which), own.scale), own.bias), constant);
          else
            best = op.best(product, q, state[half], which, own, constant);
          if (!(best < bar)) passed[half] |= 1u << (4 * n + 2 * column + which);
        }
      }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const int mine = 16 * half + g;  // and that + 8
      uint32_t bits = passed[half] & ((live >> mine & 1 ? 0x55555555u : 0) | (live >> mine >> 8 & 1 ? 0xaaaaaaaau : 0));
      const auto query_of = [&](int bit) { return static_cast<uint32_t>(q1) + static_cast<uint32_t>(8 * (bit >> 2) + (bit >> 1 & 1)); };
      const auto row_of = [&](int bit) { return static_cast<uint32_t>(row0) + static_cast<uint32_t>(mine + 8 * (bit & 1)); };
      if constexpr (Op::kExact) {
        for (; bits; bits &= bits - 1) {
          const int bit = __ffs(static_cast<int>(bits)) - 1;
          const int64_t q = query_of(bit);
          int product = 0;
#pragma unroll
          for (int i = 0; i < 32; ++i)  // registers have no numbers to choose by
            if (i == bit) product = products[half][i >> 2][2 * (i & 1) + (i >> 1 & 1)];
          const float low = op.sum_of(product, q, state[half], 0), high = op.sum_of(product, q, state[half], 1);
          const RowFactors its = bit & 1 ? factors[half][1] : factors[half][0];
          const float score = its.finish(bit & 1 ? high : low, constant_of(s, q));
          if (reaches(s, s.bars[q], score, row_of(bit))) offer(s, q, score, row_of(bit));
        }
      } else {
        score_survivors(s, op, bits, [&](int bit, uint32_t& q, uint32_t& row) {
          q = query_of(bit);
          row = row_of(bit);
        });
      }
    }
  }
}

template <class Op>
inline int launch_tiles(const Scan& s, const Op& op, int64_t first, int64_t last) {
  const int64_t tiles = (s.nq + kTileQueries - 1) / kTileQueries, wanted = (last - first + kTileWarps * kGroup - 1) / (kTileWarps * kGroup);
  const int64_t most = static_cast<int64_t>(multiprocessors()) * 4;
  return launch(tiles_kernel<Op>, dim3(static_cast<unsigned>(wanted < most ? wanted : most), static_cast<unsigned>(tiles)),
                dim3(kTileWarps * 32), 0, s.stream, s, op, first, last);
}

// Batches from which tiles pay, where the device multiplies so.
constexpr int64_t kBatch = 16;

}  // namespace vecpress::cuda
