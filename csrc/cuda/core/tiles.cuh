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
//   settle(s, codes, state, which)     where there is one: what best wants of each row, once
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

// A query's bar as a number that no score which reaches it is below: not a number where there is no bar yet.
__device__ __forceinline__ float bar_of(const Scan& s, int64_t q) { return __uint_as_float(bits_of_order(s.bars[q].score)); }

template <class Op>
__global__ void __launch_bounds__(kTileWarps * 32, 2) tiles_kernel(Scan s, Op op, int64_t first, int64_t last) {
  __align__(16) __shared__ uint8_t queries[kTileQueries * kQueryStride];
  const int lane = lane_id(), g = lane / 4, t = lane % 4, warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t q0 = static_cast<int64_t>(blockIdx.y) * kTileQueries;
  const int count = static_cast<int>(s.nq - q0 < kTileQueries ? s.nq - q0 : kTileQueries);
  const int64_t step = static_cast<int64_t>(gridDim.x) * kTileWarps * kGroup;
  for (int64_t base = first + static_cast<int64_t>(blockIdx.x) * kTileWarps * kGroup; base < last; base += step) {  // the same in all warps
    const int64_t row0 = base + warp * kGroup, within = row0 < last ? row0 : last - 1;
    int products[2][kTileQueries / 8][4] = {};
    typename Op::State state[2];
    for (int slab = 0; slab < op.steps; slab += kSlab) {
      const int deep = op.steps - slab < kSlab ? op.steps - slab : kSlab;
      __syncthreads();
      // words t and t + 4 of a product side by side, as lanes read them
      for (int i = static_cast<int>(threadIdx.x); i < kTileQueries * deep; i += kTileWarps * 32) {
        const int q = i / deep, part = i % deep;
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
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      op.gather(state[half]);
      const int64_t mine = row0 + 16 * half + g;  // and that + 8
      const int64_t rows[2] = {mine < last ? mine : last - 1, mine + 8 < last ? mine + 8 : last - 1};
      const bool live[2] = {mine < last && allowed(s, mine), mine + 8 < last && allowed(s, mine + 8)};
      const RowFactors factors[2] = {RowFactors(s, Row(s.codes, rows[0])), RowFactors(s, Row(s.codes, rows[1]))};
      if constexpr (Settles<Op>::value) {
        op.settle(s, Row(s.codes, rows[0]), state[half], 0);
        op.settle(s, Row(s.codes, rows[1]), state[half], 1);
      }
      const int64_t own = q0 + 2 * t;
      uint32_t passed = 0;  // bit 4 n + 2 column + which
#pragma unroll
      for (int n = 0; n < kTileQueries / 8; ++n)
#pragma unroll
        for (int column = 0; column < 2; ++column) {
          const int in_tile = 8 * n + 2 * t + column;
          if (in_tile >= count) continue;
          const int64_t q = own + (8 * n + column);  // one address, and constants: 16 addresses would cost registers
          const float bar = bar_of(s, q), constant = constant_of(s, q);
#pragma unroll
          for (int which = 0; which < 2; ++which) {
            const int product = products[half][n][2 * which + column];
            float best;
            if constexpr (Op::kExact) best = factors[which].finish(op.sum_of(product, q, state[half], which), constant);
            else best = op.best(product, q, state[half], which, factors[which], constant);
            if (!(best < bar)) passed |= 1u << (4 * n + 2 * column + which);
          }
        }
      passed &= (live[0] ? 0x55555555u : 0) | (live[1] ? 0xaaaaaaaau : 0);
      const auto query_of = [&](int bit) { return static_cast<uint32_t>(q0) + static_cast<uint32_t>(8 * (bit >> 2) + 2 * t + (bit >> 1 & 1)); };
      if constexpr (Op::kExact) {
        for (; passed; passed &= passed - 1) {
          const int bit = __ffs(static_cast<int>(passed)) - 1;
          const int64_t q = query_of(bit);
          int product = 0;
#pragma unroll
          for (int i = 0; i < 32; ++i)  // registers have no numbers to choose by
            if (i == bit) product = products[half][i >> 2][2 * (i & 1) + (i >> 1 & 1)];
          const float low = op.sum_of(product, q, state[half], 0), high = op.sum_of(product, q, state[half], 1);
          const float scale = bit & 1 ? factors[1].scale : factors[0].scale, bias = bit & 1 ? factors[1].bias : factors[0].bias;
          const float score = finished(bit & 1 ? high : low, scale, factors[0].biased ? &bias : nullptr, constant_of(s, q));
          const uint32_t row = static_cast<uint32_t>(mine) + 8 * static_cast<uint32_t>(bit & 1);
          if (reaches(s, s.bars[q], score, row)) offer(s, q, score, row);
        }
      } else {
        score_survivors(s, op, passed, [&](int bit, uint32_t& q, uint32_t& row) {
          q = query_of(bit);
          row = static_cast<uint32_t>(mine) + 8 * static_cast<uint32_t>(bit & 1);
        });
      }
    }
  }
}

template <class Op>
inline int launch_tiles(const Scan& s, const Op& op, int64_t first, int64_t last) {
  const int64_t tiles = (s.nq + kTileQueries - 1) / kTileQueries, wanted = (last - first + kTileWarps * kGroup - 1) / (kTileWarps * kGroup);
  if (tiles > 65535) return VP_CUDA_ARGUMENT;
  const int64_t most = static_cast<int64_t>(multiprocessors()) * 4;
  return launch(tiles_kernel<Op>, dim3(static_cast<unsigned>(wanted < most ? wanted : most), static_cast<unsigned>(tiles)),
                dim3(kTileWarps * 32), 0, s.stream, s, op, first, last);
}

// Batches from which tiles pay, where the device multiplies so.
constexpr int64_t kBatch = 16;

}  // namespace vecpress::cuda
