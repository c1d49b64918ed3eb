// Rows that a screen let through, scored exactly: few of a warp's, so that its lanes work together on each where an operation can.
//
// An operation gives exact(s, q, codes), the reference's sum, by one thread; or chains(s, q, row), by 16 lanes in step, each of which gives a part,
// added as vecpress/ops/dot.py adds its 16 chains, and with_rest(s, q, row, sum) where more is added to that.
#pragma once

#include <type_traits>

#include "core/scan.cuh"

namespace vecpress::cuda {

// How many blocks of an operation a multiprocessor is to hold, in other words how few registers have to be enough.
template <class Op, int kElse, class = void>
struct LeastBlocks {
  static constexpr int kCount = kElse;
};
template <class Op, int kElse>
struct LeastBlocks<Op, kElse, std::void_t<decltype(Op::blocks())>> {
  static constexpr int kCount = Op::blocks();
};

template <class Op, class = void>
struct WorksTogether : std::false_type {};
template <class Op>
struct WorksTogether<Op, std::void_t<decltype(&Op::chains)>> : std::true_type {};

template <class Op, class = void>
struct HasRest : std::false_type {};
template <class Op>
struct HasRest<Op, std::void_t<decltype(&Op::with_rest)>> : std::true_type {};

// part[j] = part[j] + part[j + h] for h = 8, 4, 2, 1, by 16 lanes; all of them have the sum, as addition commutes.
__device__ __forceinline__ float sum_of_parts(float part) {
  for (int by = 8; by; by /= 2) part = __fadd_rn(part, __shfl_xor_sync(kAllLanes, part, by));
  return part;
}

// By all lanes of a warp: the sums of those that want one, two at a time.
template <class Op>
__device__ __forceinline__ float exact_sums(const Scan& s, const Op& op, bool wanted, uint32_t q, uint32_t row) {
  float own = 0;
  if constexpr (WorksTogether<Op>::value) {
    const int lane = lane_id();
    for (unsigned who = __ballot_sync(kAllLanes, wanted); who;) {
      const int one = __ffs(static_cast<int>(who)) - 1;
      who &= who - 1;
      const int two = who ? __ffs(static_cast<int>(who)) - 1 : one;
      who &= who - 1;
      const int from = lane < 16 ? one : two;
      const uint32_t its_q = __shfl_sync(kAllLanes, q, from), its_row = __shfl_sync(kAllLanes, row, from);
      const float sum = sum_of_parts(op.chains(s, its_q, its_row)), first = __shfl_sync(kAllLanes, sum, 0), second = __shfl_sync(kAllLanes, sum, 16);
      if (lane == two) own = second;
      if (lane == one) own = first;
    }
    if constexpr (HasRest<Op>::value)
      if (wanted) own = op.with_rest(s, q, row, own);
  } else {
    if (wanted) own = op.exact(s, q, Row(s.codes, row));
  }
  return own;
}

// By all lanes of a warp: each has its own bits, which place(bit, q, row) names.
template <class Op, class Place>
__device__ __forceinline__ void score_survivors(const Scan& s, const Op& op, uint32_t bits, Place place) {
  while (__any_sync(kAllLanes, bits != 0)) {
    const bool wanted = bits != 0;
    uint32_t q = 0, row = 0;
    if (wanted) place(__ffs(static_cast<int>(bits)) - 1, q, row);
    bits &= bits - 1;
    if (wanted) count_exact();
    const float sum = exact_sums(s, op, wanted, q, row);
    if (!wanted) continue;
    const float score = RowFactors(s, Row(s.codes, row)).finish(sum, constant_of(s, q));
    if (reaches(s, s.bars[q], score, row)) offer(s, q, score, row);
  }
}

}  // namespace vecpress::cuda
