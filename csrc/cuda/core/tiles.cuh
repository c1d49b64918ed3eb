// A scan by the tensor cores: 32 rows a warp against 64 queries a block, for batches, where arithmetic is the limit.
//
// An operation gives
//
//   kProduct            which multiplication (core/mma.cuh)
//   steps               how many products deep a code is; queries lie as uint8[nq, steps, 32] in `queries`, in the operand's order
//   start(row)          State of a lane's rows g and g + 8 of 16, for what is gathered of their codes meanwhile
//   fragment(s, group, half, step, a, state)    the bytes of 16 rows of a group for one product
//   kExact, sum(product, q, state, which), best(...), exact(...)    as in core/rows.cuh, of row g (which = 0) or g + 8
#pragma once

#include "core/mma.cuh"
#include "core/scan.cuh"

namespace vecpress::cuda {

constexpr int kTileQueries = 64, kSlab = 4;  // queries of a block; products that shared memory holds of them
constexpr int kTileWarps = kEmulated ? 2 : 8;
constexpr int kQueryStride = kSlab * 32 + 16;  // bytes; the 16 part the banks of 8 queries

template <class Op>
__global__ void __launch_bounds__(kTileWarps * 32) tiles_kernel(Scan s, Op op, int64_t first, int64_t last) {
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
      for (int i = static_cast<int>(threadIdx.x); i < kTileQueries * deep * 2; i += kTileWarps * 32) {
        const int q = i / (deep * 2), part = i % (deep * 2);
        const uint4 value = q < count ? *reinterpret_cast<const uint4*>(op.queries + ((q0 + q) * op.steps + slab) * 32 + part * 16)
                                      : make_uint4(0, 0, 0, 0);
        *reinterpret_cast<uint4*>(queries + q * kQueryStride + part * 16) = value;
      }
      __syncthreads();
      for (int i = 0; i < deep; ++i) {
        uint32_t a[2][4];
        op.fragment(s, within / kGroup, 0, slab + i, a[0], state[0]);
        op.fragment(s, within / kGroup, 1, slab + i, a[1], state[1]);
#pragma unroll
        for (int n = 0; n < kTileQueries / 8; ++n) {
          const uint8_t* at = queries + (8 * n + g) * kQueryStride + i * 32 + 4 * t;
          const uint32_t b[2] = {*reinterpret_cast<const uint32_t*>(at), *reinterpret_cast<const uint32_t*>(at + 16)};
          multiply<Op::kProduct>(products[0][n], a[0], b);
          multiply<Op::kProduct>(products[1][n], a[1], b);
        }
      }
    }
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      op.gather(state[half]);
#pragma unroll
      for (int which = 0; which < 2; ++which) {
        const int64_t row = row0 + 16 * half + 8 * which + g;
        if (row >= last || !allowed(s, row)) continue;
        const Row codes(s.codes, row);
        const RowFactors factors(s, codes);
#pragma unroll
        for (int n = 0; n < kTileQueries / 8; ++n)
#pragma unroll
          for (int column = 0; column < 2; ++column) {
            const int in_tile = 8 * n + 2 * t + column;
            if (in_tile >= count) continue;
            const int64_t q = q0 + in_tile;
            const Bar bar = s.bars[q];
            const float constant = constant_of(s, q);
            const int product = products[half][n][2 * which + column];
            float score;
            if constexpr (Op::kExact) {
              score = factors.finish(op.sum_of(product, q, state[half], which), constant);
            } else {
              if (order(op.best(product, q, state[half], which, factors, constant)) < bar.score) continue;
              score = factors.finish(op.exact(s, q, codes), constant);
            }
            if (reaches(s, bar, score, static_cast<uint32_t>(row))) offer(s, q, score, static_cast<uint32_t>(row));
          }
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
