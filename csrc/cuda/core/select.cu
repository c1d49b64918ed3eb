// The k best candidates of each query, a block a query: by (score, id), any k, ties to the lower id.
//
// Radix selection: the k-th best score byte by byte from counts of candidates by byte, then the same among the ids of those that have exactly that
// score. What is above stays, moved to the front in one pass that reads ahead of what it writes. The last time the k best are sorted.
#include "core/scan.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kThreads = kEmulated ? 64 : 512;
constexpr int64_t kSharedSort = 2048;  // candidates that are sorted in shared memory

struct Best {
  uint32_t score;  // as `order` has it
  uint32_t bits;
  int64_t id;
};

__device__ __forceinline__ bool before(const Best& a, const Best& b) { return a.score > b.score || (a.score == b.score && a.id < b.id); }

__global__ void begin_kernel(Scan s) {
  const int64_t q = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (q >= s.nq) return;
  s.bars[q] = {0, 0, INT64_MAX};
  s.counts[q] = 0;
}

// Which byte value holds the place `wanted` (from 0, counted from the highest value where `down`), to out[0], and the place among those of
// that value, to out[1]; by the block's first warp.
__device__ inline void byte_at(const uint32_t* counts, uint32_t wanted, bool down, uint32_t* out) {
  const int lane = lane_id();
  uint32_t own = 0;
  for (int i = 8 * lane; i < 8 * lane + 8; ++i) own += counts[down ? 255 - i : i];
  uint32_t upto = own;
  for (int by = 1; by < 32; by *= 2) {
    const uint32_t other = __shfl_up_sync(kAllLanes, upto, static_cast<unsigned>(by));
    if (lane >= by) upto += other;
  }
  uint32_t passed = upto - own;
  if (wanted < passed || wanted >= upto) return;
  for (int i = 8 * lane;; ++i) {
    const int value = down ? 255 - i : i;
    if (wanted < passed + counts[value]) {
      out[0] = static_cast<uint32_t>(value);
      out[1] = wanted - passed;
      return;
    }
    passed += counts[value];
  }
}

struct Found {
  uint32_t score;
  int64_t id;
};

// The bar that the best `k` of m candidates reach: a score, and the largest id of that score that belongs to them. k < m.
__device__ inline Found kth(const Scan& s, const Candidate* candidates, uint32_t m, uint32_t k, uint32_t* counts, uint32_t* shared) {
  uint64_t prefix = 0;
  uint32_t wanted = k - 1;
  for (int step = 0; step < 12; ++step) {  // 4 bytes of the score, 8 of the id
    const bool of_id = step >= 4;
    const int shift = of_id ? 8 * (11 - step) : 8 * (3 - step);
    if (step == 4) {
      if (threadIdx.x == 0) shared[2] = static_cast<uint32_t>(prefix);  // the score
      prefix = 0;
      __syncthreads();
    }
    const uint32_t score = of_id ? shared[2] : 0;
    for (int i = static_cast<int>(threadIdx.x); i < 256; i += static_cast<int>(blockDim.x)) counts[i] = 0;
    __syncthreads();
    for (uint32_t i = threadIdx.x; i < m; i += blockDim.x) {
      const Candidate c = candidates[i];
      const uint32_t key = order_of_bits(c.score);
      if (of_id && key != score) continue;
      const uint64_t value = of_id ? static_cast<uint64_t>(id_of(s, c.row)) ^ (uint64_t{1} << 63) : key;
      const uint64_t above = shift + 8 < 64 ? value >> (shift + 8) : 0;
      if (above == prefix) atomicAdd(&counts[value >> shift & 255], 1u);
    }
    __syncthreads();
    if (threadIdx.x < 32) byte_at(counts, wanted, !of_id, shared);
    __syncthreads();
    prefix = prefix << 8 | shared[0];
    wanted = shared[1];
    __syncthreads();
  }
  const uint32_t score = shared[2];
  __syncthreads();
  return {score, static_cast<int64_t>(prefix ^ (uint64_t{1} << 63))};
}

// How many of the block's threads before this one say yes; `total`: of all.
__device__ inline uint32_t rank_of(bool yes, uint32_t* warps, uint32_t& total) {
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / 32, count = static_cast<int>(blockDim.x) / 32;
  const unsigned who = __ballot_sync(kAllLanes, yes);
  if (lane == 0) warps[warp] = static_cast<uint32_t>(__popc(who));
  __syncthreads();
  uint32_t before_me = static_cast<uint32_t>(__popc(who & ((1u << lane) - 1)));
  total = 0;
  for (int i = 0; i < count; ++i) {
    if (i < warp) before_me += warps[i];
    total += warps[i];
  }
  __syncthreads();
  return before_me;
}

__device__ inline Best best_of(const Scan& s, const Candidate* candidates, int64_t i, int64_t m) {
  if (i >= m) return {0, 0, INT64_MAX};  // behind every candidate
  const Candidate c = candidates[i];
  return {order_of_bits(c.score), c.score, id_of(s, c.row)};
}

__device__ inline void write_result(const Scan& s, int64_t q, int64_t i, const Best& best) {
  s.scores[q * s.wide + i] = __uint_as_float(best.bits);
  s.found[q * s.wide + i] = best.id;
}

// The m <= k candidates in order, as results; bitonic, in shared memory where they fit.
__device__ inline void write_sorted(const Scan& s, int64_t q, Candidate* candidates, int64_t m, Best* shared) {
  int64_t size = 1;
  while (size < m) size *= 2;
  const bool in_shared = size <= kSharedSort;
  if (in_shared) {
    for (int64_t i = threadIdx.x; i < size; i += blockDim.x) shared[i] = best_of(s, candidates, i, m);
  }
  __syncthreads();
  for (int64_t run = 2; run <= size; run *= 2)
    for (int64_t step = run / 2; step > 0; step /= 2) {
      for (int64_t i = threadIdx.x; i < size / 2; i += blockDim.x) {
        const int64_t low = i / step * 2 * step + i % step, high = low + step;
        const bool ascending = (low & run) == 0;  // best first
        if (in_shared) {
          const Best a = shared[low], b = shared[high];
          if (before(b, a) == ascending) {
            shared[low] = b;
            shared[high] = a;
          }
        } else {
          const Best a = best_of(s, candidates, low, size), b = best_of(s, candidates, high, size);
          if (before(b, a) == ascending) {
            const Candidate x = candidates[low];
            candidates[low] = candidates[high];
            candidates[high] = x;
          }
        }
      }
      __syncthreads();
    }
  for (int64_t i = threadIdx.x; i < s.wide; i += blockDim.x) {
    if (i < m) {
      write_result(s, q, i, in_shared ? shared[i] : best_of(s, candidates, i, m));
    } else {
      s.scores[q * s.wide + i] = __uint_as_float(0x7fc00000u);
      s.found[q * s.wide + i] = -1;
    }
  }
}

__global__ void __launch_bounds__(kThreads) choose_kernel(Scan s, int last) {
  __shared__ uint32_t counts[256], shared[3], warps[32];
  const int64_t q = blockIdx.x;
  Candidate* candidates = s.candidates + q * s.room;
  uint32_t m = s.counts[q] < s.room ? s.counts[q] : static_cast<uint32_t>(s.room);
  const uint32_t k = static_cast<uint32_t>(s.k);
  if (m > k) {
    const Found bar = kth(s, candidates, m, k, counts, shared);
    uint32_t kept = 0;
    for (uint32_t first = 0; first < m; first += blockDim.x) {
      const uint32_t i = first + threadIdx.x;
      Candidate c = {0, 0};
      bool stays = false;
      if (i < m) {
        c = candidates[i];
        const uint32_t key = order_of_bits(c.score);
        stays = key > bar.score || (key == bar.score && id_of(s, c.row) <= bar.id);
      }
      uint32_t total = 0;
      const uint32_t at = kept + rank_of(stays, warps, total);  // its barriers part reading from writing
      if (stays) candidates[at] = c;
      kept += total;
      __syncthreads();
    }
    m = kept;
    if (threadIdx.x == 0) s.bars[q] = {bar.score, 0, bar.id};
  } else if (m == k && !last) {
    // a full set: the worst of it is the bar
    const Found bar = kth(s, candidates, m, k, counts, shared);
    if (threadIdx.x == 0) s.bars[q] = {bar.score, 0, bar.id};
  }
  if (threadIdx.x == 0) s.counts[q] = m;
  if (last) {
    __syncthreads();
    int64_t size = 1;
    while (size < m) size *= 2;
    if (size > kSharedSort)  // sorted where they lie, with what is behind every candidate to the next power of two
      for (int64_t i = m + threadIdx.x; i < size; i += blockDim.x) candidates[i] = {0xffffffffu, 0};
    __syncthreads();
    write_sorted(s, q, candidates, m, dynamic_shared<Best>());
  }
}

}  // namespace

int begin_scan(const Scan& s) {
  constexpr int threads = kEmulated ? 32 : 128;
  return launch(begin_kernel, dim3(static_cast<unsigned>((s.nq + threads - 1) / threads)), dim3(threads), 0, s.stream, s);
}

int choose_best(const Scan& s, bool last) {
  const int64_t size = places_of_best(s.codes.n, s.k);
  const std::size_t shared = last && size <= kSharedSort ? static_cast<std::size_t>(size) * sizeof(Best) : 0;
  return launch(choose_kernel, dim3(static_cast<unsigned>(s.nq)), dim3(kThreads), shared, s.stream, s, last ? 1 : 0);
}

}  // namespace vecpress::cuda
