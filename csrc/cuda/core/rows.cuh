// A scan in which a thread has a row, and a block some queries in shared memory: for few queries, where reading codes is the limit.
//
// An operation gives
//
//   Shared                        what a block keeps of its queries; stage(shared, q0, count): fills it, by all threads
//   Sum                           what is summed of a row and a query; sums(shared, row, sums[Q]): by a thread
//   kExact                        whether a Sum is the reference's sum, by sum_of(sum, q); else best(shared, i, sum, factors, constant) is at least the
//                                 score, or no number, and survivors are scored as core/survivors.cuh says
//   blocks()                      where there is one: how many blocks a multiprocessor is to hold, else as the compiler likes
//
// Where it is not exact, only rows whose best reaches the bar are summed as the reference does.
#pragma once

#include "core/survivors.cuh"

namespace vecpress::cuda {

constexpr int kRowThreads = 256;
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr int kMostThreads = 1024;  // of a multiprocessor, on every device that the code is for
#else
constexpr int kMostThreads = 1536;
#endif

template <class Op, int Q, int kThreads, int kBlocks>
__global__ void __launch_bounds__(kThreads, kBlocks == 0 ? 1 : kBlocks * kThreads <= kMostThreads ? kBlocks : kMostThreads / kThreads)
    rows_kernel(Scan s, Op op, int64_t first, int64_t last) {
  unsigned char* shared = dynamic_shared<unsigned char>();
  const int64_t q0 = static_cast<int64_t>(blockIdx.y) * Q;
  const int count = static_cast<int>(s.nq - q0 < Q ? s.nq - q0 : Q);
  op.stage(s, shared, q0, count);
  __syncthreads();
  const int64_t step = static_cast<int64_t>(gridDim.x) * blockDim.x;
  for (int64_t base = first + static_cast<int64_t>(blockIdx.x) * blockDim.x + (threadIdx.x & ~31u); base < last; base += step) {
    const int64_t row = base + lane_id();
    const bool live = row < last && allowed(s, row);
    if (!__any_sync(kAllLanes, live)) continue;
    const Row codes(s.codes, row < last ? row : last - 1);
    typename Op::Sum sums[Q];
    op.template sums<Q>(s, shared, codes, sums);
    const RowFactors factors(s, codes);
    uint32_t passed = 0;
#pragma unroll
    for (int i = 0; i < Q; ++i) {
      if (i >= count) break;
      const int64_t q = q0 + i;
      float best;
      if constexpr (Op::kExact) best = factors.finish(op.sum_of(sums[i], q), constant_of(s, q));
      else best = op.best(shared, i, sums[i], factors, constant_of(s, q));
      if (!(best < bar_of(s, q))) passed |= 1u << i;
    }
    if (!live) passed = 0;
    if constexpr (Op::kExact) {
#pragma unroll 1
      for (int i = 0; i < count && __any_sync(kAllLanes, passed); ++i, passed >>= 1) {
        if (!__any_sync(kAllLanes, passed & 1)) continue;
        typename Op::Sum sum = sums[0];
#pragma unroll
        for (int j = 1; j < Q; ++j)  // registers have no numbers to choose by
          if (i == j) sum = sums[j];
        const int64_t q = q0 + i;
        const float score = factors.finish(op.sum_of(sum, q), constant_of(s, q));
        offer_rows(s, q, (passed & 1) && reaches(s, s.bars[q], score, static_cast<uint32_t>(row)), score, static_cast<uint32_t>(row));
      }
    } else {
      score_survivors(s, op, passed, [&](int bit, uint32_t& q, uint32_t& its_row) {
        q = static_cast<uint32_t>(q0 + bit);
        its_row = static_cast<uint32_t>(row);
      });
    }
  }
}

// Threads of a block: they share what it stages, so many; but fewer where rows are few, so that all multiprocessors have some.
inline int row_threads(int64_t rows, int most) {
  if (kEmulated) return 64;
  while (most > 64 && rows < static_cast<int64_t>(most) * multiprocessors()) most /= 2;
  return most;
}

// As many blocks as run at once: each takes rows until there are none. kBlocks: for how many registers are to suffice, 0: as the compiler
// likes, -1: as the operation says.
template <int Q, int kThreads = kRowThreads, int kBlocks = -1, class Op>
inline int launch_rows(const Scan& s, const Op& op, std::size_t shared, int64_t first, int64_t last) {
  const int64_t tiles = (s.nq + Q - 1) / Q;
  const int threads = row_threads(last - first, kThreads);
  int resident = 0;
  constexpr int kLeast = kBlocks >= 0 ? kBlocks : LeastBlocks<Op, 0>::kCount;
  if (const int code = resident_blocks(rows_kernel<Op, Q, kThreads, kLeast>, threads, shared, resident)) return code;
  if (resident < 1) return VP_CUDA_LAUNCH;
  const int64_t wanted = (last - first + threads - 1) / threads, most = static_cast<int64_t>(multiprocessors()) * resident;
  return launch(rows_kernel<Op, Q, kThreads, kLeast>, dim3(static_cast<unsigned>(wanted < most ? wanted : most), static_cast<unsigned>(tiles)),
                dim3(static_cast<unsigned>(threads)), shared, s.stream, s, op, first, last);
}

}  // namespace vecpress::cuda
