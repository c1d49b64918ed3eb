// A step of the beam search through codebooks. Definition: vecpress/ops/beam_step.py.
//
// A warp is a row, a lane eight labels of four paths at a time, whose sums are in registers. A path that begins as an earlier one of the four takes
// over its sum where the two part, so what they share is read and added once. Rows of `pairs` come from L2, which is what binds.
//
// The least are found by a bar (core/least.cuh): what does not exceed it goes into a buffer that holds all totals of a group.
#include "core/grids.cuh"
#include "core/least.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kWarps = kEmulated ? 2 : 4;
constexpr int kPaths = 4, kColumns = 8;  // of a lane
constexpr int kMostPaths = 256, kMostEntries = 256, kMostLabels = 63;
constexpr int kBuffer = 32 * kPaths * kColumns;  // all totals of a group

struct BeamStep {
  uint8_t* grown;  // [n, keep, labels + 1]
  float* best;     // [n, keep]
  const float* costs;
  const float* pairs;
  const uint8_t* paths;
  const float* scores;
  int64_t n;
  int ks, labels, b, keep, places;
};

// A lane's labels: four side by side where rows are aligned.
template <bool kFours>
__device__ __forceinline__ int column(int v) {
  return kFours ? v / 4 * 128 + 4 * lane_id() + v % 4 : 32 * v + lane_id();
}

template <bool kFours>
__device__ __forceinline__ void load(const float* row, int ks, float (&out)[kColumns]) {
  if constexpr (kFours) {
#pragma unroll
    for (int v = 0; v < kColumns; v += 4) {
      float4 four = make_float4(0, 0, 0, 0);
      if (column<true>(v) < ks) four = *reinterpret_cast<const float4*>(row + column<true>(v));
      out[v] = four.x, out[v + 1] = four.y, out[v + 2] = four.z, out[v + 3] = four.w;
    }
  } else {
#pragma unroll
    for (int v = 0; v < kColumns; ++v) out[v] = column<false>(v) < ks ? row[column<false>(v)] : 0.0f;
  }
}

// Some paths of a row, and which of them begins as which: path p has the first `start` labels of path `from`, the earliest that shares most.
struct Paths {
  uint32_t low[kPaths], high[kPaths];  // label `lane`, label `lane + 32`
  int start[kPaths], from[kPaths], there;

  __device__ __forceinline__ void read(const uint8_t* paths, int labels, int count) {
    const int lane = lane_id();
    there = count;
#pragma unroll
    for (int p = 0; p < kPaths; ++p) {
      low[p] = p < there && lane < labels ? paths[p * labels + lane] : 0;
      high[p] = p < there && lane + 32 < labels ? paths[p * labels + lane + 32] : 0;
      start[p] = from[p] = 0;
#pragma unroll
      for (int q = 0; q < p; ++q) {
        const unsigned first = __ballot_sync(kAllLanes, low[p] != low[q]), second = __ballot_sync(kAllLanes, high[p] != high[q]);
        const int alike = first ? __ffs(static_cast<int>(first)) - 1 : second ? __ffs(static_cast<int>(second)) + 31 : labels;
        if (alike > start[p]) {
          start[p] = alike;
          from[p] = q;
        }
      }
    }
  }
  __device__ __forceinline__ int label(int p, int i) const {
    return static_cast<int>(__shfl_sync(kAllLanes, i < 32 ? low[p] : high[p], i & 31));
  }
};

// The totals of up to four paths; infinite where there is none.
template <bool kFours>
__device__ __forceinline__ void add_up(const BeamStep& a, int64_t row, int p0, float (&sum)[kPaths][kColumns]) {
  Paths paths;
  paths.read(a.paths + (row * a.b + p0) * a.labels, a.labels, a.b - p0 < kPaths ? a.b - p0 : kPaths);
  load<kFours>(a.costs + row * a.ks, a.ks, sum[0]);
  for (int i = 0;; ++i) {
#pragma unroll
    for (int p = 1; p < kPaths; ++p)
      if (paths.start[p] == i) {
#pragma unroll
        for (int v = 0; v < kColumns; ++v) {
          uint32_t bits = __float_as_uint(sum[0][v]);
#pragma unroll
          for (int q = 1; q < p; ++q) {  // by masks: of a choice compilers make one of addresses, and sums would have to have some
            const uint32_t its = paths.from[p] == q ? ~0u : 0u;
            bits = (bits & ~its) | (__float_as_uint(sum[q][v]) & its);
          }
          sum[p][v] = __uint_as_float(bits);
        }
      }
    if (i == a.labels) break;
    float next[kPaths][kColumns];
#pragma unroll
    for (int p = 0; p < kPaths; ++p) {
      const int label = paths.label(p, i);
      if (p < paths.there && paths.start[p] <= i) load<kFours>(a.pairs + static_cast<int64_t>(i * a.ks + label) * a.ks, a.ks, next[p]);
    }
#pragma unroll
    for (int p = 0; p < kPaths; ++p)
      if (p < paths.there && paths.start[p] <= i)
#pragma unroll
        for (int v = 0; v < kColumns; ++v) sum[p][v] = __fadd_rn(sum[p][v], next[p][v]);
  }
#pragma unroll
  for (int p = 0; p < kPaths; ++p) {
    const float score = p < paths.there ? a.scores[row * a.b + p0 + p] : 0.0f;
#pragma unroll
    for (int v = 0; v < kColumns; ++v) {
      const float total = __fadd_rn(sum[p][v], score);
      sum[p][v] = p < paths.there && column<kFours>(v) < a.ks && total == total ? total : __uint_as_float(0x7f800000u);
    }
  }
}

template <bool kFours>
__global__ void __launch_bounds__(kWarps * 32, 4) beam_step_kernel(BeamStep a) {
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / 32;
  Least least{dynamic_shared<uint64_t>() + warp * (a.places + kBuffer), a.places, a.keep};
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * kWarps + warp; row < a.n; row += static_cast<int64_t>(gridDim.x) * kWarps) {
    least.begin();
    for (int p0 = 0; p0 < a.b; p0 += kPaths) {
      float total[kPaths][kColumns];
      add_up<kFours>(a, row, p0, total);
      if (a.keep <= 32) {
        float own = total[0][0];
#pragma unroll
        for (int i = 1; i < kPaths * kColumns; ++i) own = fminf(own, total[i / kColumns][i % kColumns]);
        least.bar = fminf(least.bar, least_of_lanes(own, a.keep));
      }
#pragma unroll
      for (int p = 0; p < kPaths; ++p)
#pragma unroll
        for (int v = 0; v < kColumns; ++v) {
          const int c = column<kFours>(v);
          least.offer(p0 + p < a.b && c < a.ks, total[p][v], (p0 + p) * a.ks + c);
        }
      if (least.count) least.settle();
    }
    for (int k = lane; k < a.keep; k += 32) {
      a.best[row * a.keep + k] = least.total(k);
    }
    const int wide = a.labels + 1;
    for (int i = lane; i < a.keep * wide; i += 32) {
      const int k = i / wide, t = i % wide, place = least.place(k);
      a.grown[row * a.keep * wide + i] =
          t < a.labels ? a.paths[(row * a.b + place / a.ks) * a.labels + t] : static_cast<uint8_t>(place % a.ks);
    }
    __syncwarp();
  }
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_beam_step(uint8_t* grown, float* best, const float* costs, const float* pairs, const uint8_t* paths, const float* scores,
                                 int64_t n, int32_t ks, int32_t b, int32_t labels, int32_t keep, void* stream) {
  if (n < 0 || ks < 1 || ks > kMostEntries || b < 1 || b > kMostPaths || labels < 0 || labels > kMostLabels) return VP_CUDA_ARGUMENT;
  if (keep < 1 || keep > kMostPaths || keep > b * ks) return VP_CUDA_ARGUMENT;
  if (!n) return VP_CUDA_OK;
  if (!grown || !best || !costs || !scores || (labels && (!pairs || !paths))) return VP_CUDA_ARGUMENT;
  const int places = keep > 32 ? static_cast<int>(power_of_two(keep)) : 32;
  const BeamStep a{grown, best, costs, pairs, paths, scores, n, ks, labels, b, keep, places};
  const bool fours = ks % 4 == 0 && aligned_to(costs, 16) && aligned_to(pairs, 16);
  const std::size_t shared = sizeof(uint64_t) * kWarps * static_cast<std::size_t>(places + kBuffer);
  const dim3 grid = blocks_over(n, kWarps), block(kWarps * 32);
  const Stream on = static_cast<Stream>(stream);
  return fours ? launch(beam_step_kernel<true>, grid, block, shared, on, a) : launch(beam_step_kernel<false>, grid, block, shared, on, a);
}
