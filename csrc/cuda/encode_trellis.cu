// Rows to words of a trellis code. Definition: vecpress/ops/encode_trellis.py.
//
// A block is a warp and makes one word of some rows. A lane has 64 of the windows and the states that they end in: with windows of 6 bits those are
// all, and a lane is a row; with windows of 8 bits four lanes are one, and fetch from each other what the states before cost. Costs are in registers,
// and so are levels and their squares with windows of 6 bits; with 8 they stay in shared memory. So a window is a multiply-add and an addition, and
// where it competes with another a comparison, a minimum and a choice; with 8 bits half a load and up to one exchange more.
//
//   shared memory   | level, square, 64 by 64 | x [step][row], later the windows | taken [step][lane] | ends [state of a lane][lane] |
//
// taken: by which of its windows each state was reached, rate bits a state, 32 at most; ways are followed back through it.
// ends, at rate 3 alone: costs of the states after the last step, of which several may allow one beginning.
#include "core/grids.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kRates = 4, kWarm = 24, kMostSize = 8;
constexpr int kLaneWindows = 64;
constexpr int kTurned = 8;  // windows of so many bits are searched from the middle of a word, too
constexpr float kFarthest = 1000.0f;

struct EncodeTrellis {
  uint8_t* codes;  // [n, code_size]
  int8_t* values;  // [n, m]
  const float* y;
  const int8_t* levels;  // [kRates, 2^window]
  int64_t n, m, code_size;
};

// A word: where it and its components begin.
struct Job {
  int32_t byte, component;
  uint8_t size, steps;
};

// Words of one rate, handed over with the launch.
constexpr int kMostJobs = 192;
struct Jobs {
  Job job[kMostJobs];
  int count;
};

// Where rows' numbers stand: steps a stride apart that parts the banks.
template <int kWindow>
struct Layout {
  static constexpr int kLanes = (1 << kWindow) / kLaneWindows;  // of a row
  static constexpr int kRows = 32 / kLanes, kStride = kRows + 1;
  static constexpr int kPair = kLaneWindows + 2;  // level and square of a lane's windows, and 16 bytes that part the banks
  static constexpr int kTable = kLanes * kPair;   // pairs

  __host__ __device__ static constexpr int whole(int words) { return (words + 3) / 4 * 4; }
  static std::size_t bytes(int steps, int ends) {
    return sizeof(float2) * kTable + 4 * static_cast<std::size_t>(whole(steps * kStride) + 32 * (steps + ends));
  }
};

struct Cheapest {
  float cost;
  int state;
};

// The less costly one, of equal ones the lower state, among the lanes of a row.
template <int kLanes>
__device__ __forceinline__ int cheapest_of_row(Cheapest best) {
#pragma unroll
  for (int by = 1; by < kLanes; by *= 2) {
    const Cheapest other{__shfl_xor_sync(kAllLanes, best.cost, by), __shfl_xor_sync(kAllLanes, best.state, by)};
    if (other.cost < best.cost || (other.cost == best.cost && other.state < best.state)) best = other;
  }
  return best.state;
}

template <int kWindow, int kRate>
struct Search {
  using L = Layout<kWindow>;
  static constexpr int kWays = 1 << kRate, kStates = (1 << kWindow) >> kRate;
  static constexpr int kOwn = kLaneWindows >> kRate;  // states of a lane
  static constexpr int kEnds = kRate == 3 ? kOwn : 0;  // of a lane, where ends and beginnings may differ
  static constexpr int kBefore = kStates < kLaneWindows ? kStates : kLaneWindows;  // states that a lane's windows come from

  const float4* table;  // this lane's levels and squares, two by two
  float* x;             // this row's, a stride apart
  uint32_t* taken;      // [step][lane], and the ends after it
  int steps, bits, lane, part, first_lane;  // the lane's part of its row; the row's first lane
  float cost[kOwn];                         // of the states part * kOwn ..

  __device__ __forceinline__ int rest() const { return kRate == 3 ? bits - steps * kRate : 0; }  // other rates divide 8

  // From the states before to those after step t; how they were reached, kRate bits a state.
  template <bool kKeep>
  __device__ __forceinline__ uint32_t step(int t) {
    const float now = x[t * L::kStride];
    float before[kBefore];
    if constexpr (L::kLanes == 1) {
#pragma unroll
      for (int s = 0; s < kBefore; ++s) before[s] = cost[s];
    } else {  // windows 64 part .. come from states 64 part % kStates ..
      const int from = first_lane + (kStates > kLaneWindows ? part % 2 * (kLaneWindows / kOwn) : 0);
#pragma unroll
      for (int s = 0; s < kBefore; ++s) before[s] = __shfl_sync(kAllLanes, cost[s % kOwn], from + s / kOwn);
    }
    int again = 0;
    if (kWindow == 8) unknown(again);  // else levels would be kept in registers, where costs and what is fetched leave too little room
    uint32_t reached = 0;
#pragma unroll
    for (int s = 0; s < kOwn; ++s) {
      float best = 0;
      uint32_t at = 0;
#pragma unroll
      for (int j = 0; j < kWays; j += 2) {
        const int w = s << kRate | j;
        const float4 two = table[again + w / 2];
        const float a = __fadd_rn(before[w % kBefore], __fmaf_rn(now, two.x, two.y));
        const float b = __fadd_rn(before[(w + 1) % kBefore], __fmaf_rn(now, two.z, two.w));
        if (j == 0) {
          best = a;
        } else {
          if (kKeep && a < best) at = static_cast<uint32_t>(j) << kRate * s;
          best = fminf(a, best);
        }
        if (kKeep && b < best) at = static_cast<uint32_t>(j + 1) << kRate * s;
        best = fminf(b, best);
      }
      cost[s] = best;
      reached |= at;
    }
    return reached;
  }

  // Steps from `first` up to `last`.
  template <bool kKeep>
  __device__ __forceinline__ void walk(int first, int last) {
#pragma unroll 1
    for (int t = first; t < last; ++t) {
      const uint32_t reached = step<kKeep>(t);
      if (kKeep) taken[t * 32 + lane] = reached;
    }
  }

  // The window by which the row came to a state at step t.
  __device__ __forceinline__ int window_before(int t, int state) const {
    const uint32_t reached = taken[t * 32 + first_lane + state / kOwn];
    return state << kRate | static_cast<int>(reached >> kRate * (state % kOwn) & (kWays - 1));
  }

  // The state that step t began in, on the way to one after the last step.
  __device__ __forceinline__ int state_before(int t, int state) const {
    for (int u = steps - 1; u >= t; --u) state = window_before(u, state) % kStates;
    return state;
  }

  // The new bits of the windows on the way to a state after the steps from `first` up to `last`; the windows take the places of the row's numbers,
  // and `state` becomes what the way begins in.
  __device__ __forceinline__ uint64_t follow(int first, int last, int& state) {
    uint64_t found = 0;
    for (int t = last - 1; t >= first; --t) {
      const int window = window_before(t, state);
      x[t * L::kStride] = __uint_as_float(static_cast<uint32_t>(window));  // all lanes of the row the same: asking which one is dearer
      found = found << kRate | static_cast<uint32_t>(window / kStates);
      state = window % kStates;
    }
    return found;
  }

  __device__ __forceinline__ float end_cost(int end) const { return __uint_as_float(taken[(steps + end % kOwn) * 32 + first_lane + end / kOwn]); }

  // The least costly end that allows a beginning, of equal ones the lowest, where there may be several and begin_where_ends_allow has left costs.
  __device__ __forceinline__ Cheapest end_before(int begin) const {
    const int first = begin % (kStates >> rest()) << rest();
    Cheapest best{end_cost(first), first};
#pragma unroll 1
    for (int end = first + 1; end < first + (1 << rest()); ++end) {
      const float other = end_cost(end);
      if (other < best.cost) best = {other, end};
    }
    return best;
  }

  // Makes of the costs of ends those of the beginnings that they allow: of each the least.
  __device__ __forceinline__ void begin_where_ends_allow() {
    if (!rest()) return;  // a state each
#pragma unroll
    for (int s = 0; s < kOwn; ++s) taken[(steps + s) * 32 + lane] = __float_as_uint(cost[s]);
    __syncwarp();
#pragma unroll
    for (int s = 0; s < kOwn; ++s) cost[s] = end_before(part * kOwn + s).cost;
    __syncwarp();
  }

  __device__ __forceinline__ void begin_in(int state) {
#pragma unroll
    for (int s = 0; s < kOwn; ++s) cost[s] = part * kOwn + s == state ? 0.0f : __uint_as_float(0x7f800000u);
  }

  __device__ __forceinline__ int least_state() const {
    Cheapest best{cost[0], part * kOwn};
#pragma unroll
    for (int s = 1; s < kOwn; ++s)
      if (cost[s] < best.cost) best = {cost[s], part * kOwn + s};
    return cheapest_of_row<L::kLanes>(best);
  }

  // The least costly state among those that close a ring that begins in `start`; that state reaches one of them.
  __device__ __forceinline__ int closing_state(int start) const {
    const int end = start % (kStates >> rest());
    Cheapest best{__uint_as_float(0x7f800000u), end << rest()};
#pragma unroll
    for (int s = 0; s < kOwn; ++s)
      if ((part * kOwn + s) >> rest() == end && cost[s] < best.cost) best = {cost[s], part * kOwn + s};
    return cheapest_of_row<L::kLanes>(best);
  }

  // The row's ring; its windows take the places of its numbers.
  __device__ __forceinline__ uint64_t find() {
#pragma unroll
    for (int s = 0; s < kOwn; ++s) cost[s] = 0;
    walk<false>(steps > kWarm ? steps - kWarm : 0, steps);
    begin_where_ends_allow();
    walk<true>(0, steps);
    __syncwarp();
    int start = state_before(0, least_state());
    __syncwarp();
    begin_in(start);
    walk<true>(0, steps);
    __syncwarp();
    int state = closing_state(start);
    uint64_t ring;
    if constexpr (kWindow == kTurned) {
      const int middle = steps / 2;
      start = state_before(middle, state);
      __syncwarp();
      begin_in(start);
      walk<true>(middle, steps);
      begin_where_ends_allow();
      walk<true>(0, middle);
      __syncwarp();
      ring = follow(0, middle, start);
      state = rest() ? end_before(start).state : start;
      ring |= follow(middle, steps, state) << kRate * middle;
    } else {
      ring = follow(0, steps, state);
    }
    return ring << (kWindow - kRate) | static_cast<uint32_t>(start);  // bits beyond a shorter ring are not written
  }
};

template <int kWindow, int kRate>
__global__ void __launch_bounds__(32, kWindow == 6 ? 8 : 12) encode_trellis_kernel(EncodeTrellis a, Jobs jobs) {
  using L = Layout<kWindow>;
  constexpr int kTurns = (8 * kMostSize / kRate + 31) / 32;  // of 32 steps
  const Job job = jobs.job[blockIdx.x % static_cast<unsigned>(jobs.count)];
  const int64_t row0 = static_cast<int64_t>(blockIdx.x / static_cast<unsigned>(jobs.count)) * L::kRows;
  const int rows = a.n - row0 < L::kRows ? static_cast<int>(a.n - row0) : L::kRows, lane = lane_id(), row = lane / L::kLanes;
  float2* table = dynamic_shared<float2>();
  float* x = reinterpret_cast<float*>(table + L::kTable);
  for (int w = lane; w < 1 << kWindow; w += 32) {
    const float level = a.levels[(kRate - 1) << kWindow | w];
    table[w / kLaneWindows * L::kPair + w % kLaneWindows] = make_float2(level, __fmul_rn(level, level));
  }
  const float* y = a.y + row0 * a.m + job.component;
#pragma unroll 4
  for (int r = 0; r < L::kRows; ++r)
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int t = 32 * turn + lane;
      if (t < job.steps) x[t * L::kStride + r] = r < rows ? __fmul_rn(fminf(fmaxf(y[r * a.m + t], -kFarthest), kFarthest), -2.0f) : 0.0f;
    }
  __syncwarp();
  Search<kWindow, kRate> search{reinterpret_cast<const float4*>(table + lane % L::kLanes * L::kPair), x + row,
                                reinterpret_cast<uint32_t*>(x + L::whole(job.steps * L::kStride)), job.steps, 8 * job.size, lane,
                                lane % L::kLanes, lane / L::kLanes * L::kLanes, {}};
  const uint64_t ring = search.find();
  if (lane % L::kLanes == 0 && row < rows) {
    uint8_t* code = a.codes + (row0 + row) * a.code_size + job.byte;
    for (int b = 0; b < job.size; ++b) code[b] = static_cast<uint8_t>(ring >> 8 * b);
  }
  __syncwarp();
  int8_t* values = a.values + row0 * a.m + job.component;
#pragma unroll 1
  for (int r = 0; r < rows; ++r)
#pragma unroll
    for (int turn = 0; turn < kTurns; ++turn) {
      const int t = 32 * turn + lane;
      if (t >= job.steps) continue;
      const int w = static_cast<int>(__float_as_uint(x[t * L::kStride + r]));
      values[r * a.m + t] = static_cast<int8_t>(table[w / kLaneWindows * L::kPair + w % kLaneWindows].x);
    }
}

template <int kWindow, int kRate>
int launch_jobs(const EncodeTrellis& a, const Jobs& jobs, int steps, Stream stream) {
  using L = Layout<kWindow>;
  const int64_t blocks = divided_up(a.n, L::kRows) * jobs.count;
  return launch(encode_trellis_kernel<kWindow, kRate>, dim3(static_cast<unsigned>(blocks)), dim3(32),
                L::bytes(steps, Search<kWindow, kRate>::kEnds), stream, a, jobs);
}

template <int kWindow>
int launch_rate(int rate, const EncodeTrellis& a, const Jobs& jobs, int steps, Stream stream) {
  switch (rate) {
    case 1: return launch_jobs<kWindow, 1>(a, jobs, steps, stream);
    case 2: return launch_jobs<kWindow, 2>(a, jobs, steps, stream);
    case 3: return launch_jobs<kWindow, 3>(a, jobs, steps, stream);
    default: return launch_jobs<kWindow, 4>(a, jobs, steps, stream);
  }
}

// Every word, rate by rate, as many a launch as fit.
template <int kWindow>
int encode(const EncodeTrellis& a, const uint8_t* words, int64_t count, Stream stream) {
  const int64_t tiles = divided_up(a.n, Layout<kWindow>::kRows);
  if (tiles > kMostBlocks) return VP_CUDA_ARGUMENT;
  const int64_t most = kMostBlocks / tiles < kMostJobs ? kMostBlocks / tiles : kMostJobs;
  for (int rate = 1; rate <= kRates; ++rate) {
    Jobs jobs;
    jobs.count = 0;
    int steps = 0;
    int64_t byte = 0, component = 0;
    for (int64_t w = 0; w <= count; ++w) {
      if (jobs.count && (w == count || jobs.count == most)) {
        if (const int code = launch_rate<kWindow>(rate, a, jobs, steps, stream)) return code;
        jobs.count = steps = 0;
      }
      if (w == count) break;
      const int size = words[2 * w], its = 8 * size / words[2 * w + 1];
      if (words[2 * w + 1] == rate) {
        jobs.job[jobs.count++] = {static_cast<int32_t>(byte), static_cast<int32_t>(component), static_cast<uint8_t>(size), static_cast<uint8_t>(its)};
        steps = its > steps ? its : steps;
      }
      byte += size;
      component += its;
    }
  }
  return VP_CUDA_OK;
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_encode_trellis(uint8_t* codes, int8_t* values, const float* y, const uint8_t* words, int64_t count, const int8_t* levels,
                                      int window, int64_t n, void* stream) {
  if (n < 0 || count < 0 || count > INT32_MAX / 64 || (window != 6 && window != 8) || (count && !words)) return VP_CUDA_ARGUMENT;
  int64_t bytes = 0, components = 0;
  for (int64_t w = 0; w < count; ++w) {
    const int size = words[2 * w], rate = words[2 * w + 1];
    if (size < 1 || size > kMostSize || rate < 1 || rate > kRates) return VP_CUDA_ARGUMENT;
    bytes += size;
    components += 8 * size / rate;
  }
  if (!n || !count) return VP_CUDA_OK;
  if (!codes || !values || !y || !levels) return VP_CUDA_ARGUMENT;
  const EncodeTrellis a{codes, values, y, levels, n, components, bytes};
  const Stream on = static_cast<Stream>(stream);
  return window == 6 ? encode<6>(a, words, count, on) : encode<8>(a, words, count, on);
}
