// Sums of the rows that have the same label, in the order of rows. Definition: vecpress/ops/label_sums.py.
//
// Rows are sorted by label, stably: a warp counts the labels of a chunk of rows, counts become places, and the warp puts its rows there, 32 at a
// time. Then a thread sums a column of a label's rows one after the other: reading is the limit where labels are about as frequent as each
// other; one label that most rows have is summed by d threads alone.
#include "core/grids.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kThreads = kEmulated ? 64 : 128;
constexpr int64_t kLeastRows = kEmulated ? 40 : 4096;  // of a chunk

struct Sums {
  double* out;
  const float* x;
  const int32_t* labels;
  int64_t n, d, k, chunk, chunks;
  uint32_t* places;  // [chunks, k]: rows of each label in the chunk, then where the next of them goes
  uint32_t* starts;  // [k + 1]
  uint32_t* sorted;  // [n]
};

__global__ void __launch_bounds__(kThreads) count_kernel(Sums s) {
  const int64_t c = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  if (c >= s.chunks) return;
  uint32_t* counts = s.places + c * s.k;
  for (int64_t i = lane_id(); i < s.k; i += 32) counts[i] = 0;
  __syncwarp();
  const int64_t last = (c + 1) * s.chunk < s.n ? (c + 1) * s.chunk : s.n;
  for (int64_t i = c * s.chunk + lane_id(); i < last; i += 32) atomicAdd(&counts[s.labels[i]], 1u);
}

// A thread a label: counts of its chunks become counts of those before.
__global__ void __launch_bounds__(kThreads) chunks_kernel(Sums s) {
  const int64_t label = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x;
  if (label >= s.k) return;
  uint32_t before = 0;
  for (int64_t c = 0; c < s.chunks; ++c) {
    const uint32_t count = s.places[c * s.k + label];
    s.places[c * s.k + label] = before;
    before += count;
  }
  s.starts[label + 1] = before;
}

// One warp: rows of each label become those of the labels before.
__global__ void __launch_bounds__(32) labels_kernel(Sums s) {
  const int lane = lane_id();
  uint32_t before = 0;
  if (lane == 0) s.starts[0] = 0;
  for (int64_t first = 0; first < s.k; first += 32) {
    uint32_t own = first + lane < s.k ? s.starts[first + lane + 1] : 0;
    for (int by = 1; by < 32; by *= 2) {
      const uint32_t other = __shfl_up_sync(kAllLanes, own, static_cast<unsigned>(by));
      if (lane >= by) own += other;
    }
    if (first + lane < s.k) s.starts[first + lane + 1] = before + own;
    before += __shfl_sync(kAllLanes, own, 31);
  }
}

__global__ void __launch_bounds__(kThreads) place_kernel(Sums s) {
  const int64_t c = (static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x) / 32;
  if (c >= s.chunks) return;
  const int lane = lane_id();
  uint32_t* places = s.places + c * s.k;
  const int64_t last = (c + 1) * s.chunk < s.n ? (c + 1) * s.chunk : s.n;
  for (int64_t first = c * s.chunk; first < last; first += 32) {
    const bool there = first + lane < last;
    const int label = there ? s.labels[first + lane] : -1;
    const unsigned same = __match_any_sync(kAllLanes, label), before = same & ((1u << lane) - 1);
    const uint32_t place = there ? places[label] : 0;
    __syncwarp();
    if (there) s.sorted[s.starts[label] + place + static_cast<uint32_t>(__popc(before))] = static_cast<uint32_t>(first + lane);
    if (there && !before) places[label] = place + static_cast<uint32_t>(__popc(same));
    __syncwarp();
  }
}

__global__ void __launch_bounds__(kThreads) sum_kernel(Sums s, int64_t across) {
  constexpr int kTogether = 8;  // numbers that are on their way at once
  const int64_t label = blockIdx.x / across, t = blockIdx.x % across * kThreads + threadIdx.x;
  if (t >= s.d) return;
  double sum = 0;
  uint32_t i = s.starts[label];
  const uint32_t last = s.starts[label + 1];
  for (; i + kTogether <= last; i += kTogether) {
    float some[kTogether];
#pragma unroll
    for (int j = 0; j < kTogether; ++j) some[j] = s.x[static_cast<int64_t>(s.sorted[i + static_cast<uint32_t>(j)]) * s.d + t];
#pragma unroll
    for (int j = 0; j < kTogether; ++j) sum += static_cast<double>(some[j]);
  }
  for (; i < last; ++i) sum += static_cast<double>(s.x[static_cast<int64_t>(s.sorted[i]) * s.d + t]);
  s.out[label * s.d + t] = sum;
}

int64_t chunk_of(int64_t k) { return k < kLeastRows ? kLeastRows : k; }

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_label_sums_workspace(int64_t n, int64_t k, size_t* least, size_t* most) {
  if (n < 0 || k < 1 || !least || !most) return VP_CUDA_ARGUMENT;
  *least = *most = aligned(static_cast<std::size_t>(divided_up(n, chunk_of(k)) * k) * 4) + aligned(static_cast<std::size_t>(k + 1) * 4) +
                   aligned(static_cast<std::size_t>(n) * 4);
  return VP_CUDA_OK;
}

extern "C" int vp_cuda_label_sums(double* out, const float* x, const int32_t* labels, int64_t n, int64_t d, int64_t k, void* workspace,
                                  size_t workspace_bytes, void* stream) {
  if (n < 0 || n > UINT32_MAX || d < 0 || k < 1 || k > INT32_MAX) return VP_CUDA_ARGUMENT;
  if (!d) return VP_CUDA_OK;
  if (!out || !workspace || (n && (!x || !labels))) return VP_CUDA_ARGUMENT;
  std::size_t least = 0, most = 0;
  vp_cuda_label_sums_workspace(n, k, &least, &most);
  if (workspace_bytes < least) return VP_CUDA_WORKSPACE;
  const Stream on = static_cast<Stream>(stream);
  Sums s{out, x, labels, n, d, k, chunk_of(k), divided_up(n, chunk_of(k)), nullptr, nullptr, nullptr};
  uint8_t* at = static_cast<uint8_t*>(workspace);
  s.places = reinterpret_cast<uint32_t*>(at);
  at += aligned(static_cast<std::size_t>(s.chunks * k) * 4);
  s.starts = reinterpret_cast<uint32_t*>(at);
  at += aligned(static_cast<std::size_t>(k + 1) * 4);
  s.sorted = reinterpret_cast<uint32_t*>(at);
  const int64_t across = divided_up(d, kThreads);
  if (k * across > kMostBlocks) return VP_CUDA_ARGUMENT;
  const dim3 by_chunk(static_cast<unsigned>(divided_up(s.chunks * 32, kThreads))), by_label(static_cast<unsigned>(divided_up(k, kThreads)));
  int code = launch(count_kernel, by_chunk, dim3(kThreads), 0, on, s);
  if (!code) code = launch(chunks_kernel, by_label, dim3(kThreads), 0, on, s);
  if (!code) code = launch(labels_kernel, dim3(1), dim3(32), 0, on, s);
  if (!code) code = launch(place_kernel, by_chunk, dim3(kThreads), 0, on, s);
  return code ? code : launch(sum_kernel, dim3(static_cast<unsigned>(k * across)), dim3(kThreads), 0, on, s, across);
}
