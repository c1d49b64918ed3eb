// Scan of packed bits on a device. Definition: vecpress/ops/hamming.py.
//
// One query, and few: a thread a row, bits counted by carry-save adders; reading codes is the limit. Batches: bits that code and query share, by
// the binary tensor cores of sm_80 to sm_90: different = bits of the code + bits of the query - 2 shared. Later devices lack these.
#include "core/popcount.cuh"
#include "core/rows.cuh"
#include "core/tiles.cuh"

namespace vecpress::cuda {
namespace {

// Queries as whole codes: what stands before and behind the payload is zero, in the mask too. 32 bytes more or less are whole steps.
struct Operand {
  uint8_t* queries;  // [nq, steps, 32]
  uint8_t* mask;     // [steps, 32]
  int* bits;         // [nq]: ones of each query
};

int steps_of(int64_t code_size) { return static_cast<int>((code_size + 31) / 32); }

std::size_t operand_bytes(int64_t nq, int64_t code_size) {
  const std::size_t row = static_cast<std::size_t>(steps_of(code_size)) * 32;
  return aligned(static_cast<std::size_t>(nq) * row) + aligned(row) + aligned(static_cast<std::size_t>(nq) * sizeof(int));
}

Operand operand_of(void* memory, int64_t nq, int64_t code_size) {
  const std::size_t row = static_cast<std::size_t>(steps_of(code_size)) * 32;
  uint8_t* at = static_cast<uint8_t*>(memory);
  Operand out;
  out.queries = at;
  at += aligned(static_cast<std::size_t>(nq) * row);
  out.mask = at;
  at += aligned(row);
  out.bits = reinterpret_cast<int*>(at);
  return out;
}

// A warp a query; the last warp makes the mask.
__global__ void prepare_kernel(Operand out, const uint8_t* bits, int64_t nq, int head, int size, int row) {
  const int64_t q = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  const int lane = lane_id();
  if (q > nq) return;
  if (q == nq) {
    for (int i = lane; i < row; i += 32) out.mask[i] = i >= head && i < head + size ? 255 : 0;
    return;
  }
  int ones = 0;
  for (int i = lane; i < row; i += 32) {
    const uint8_t byte = i >= head && i < head + size ? bits[q * size + i - head] : 0;
    out.queries[q * row + i] = byte;
    ones += __popc(byte);
  }
  for (int by = 16; by; by /= 2) ones += __shfl_xor_sync(kAllLanes, ones, by);
  if (lane == 0) out.bits[q] = ones;
}

struct Rows {
  static constexpr bool kExact = true;
  using Sum = int;
  Operand operand;
  int chunks;  // of 16 bytes that hold payload, and their number in shared memory, even

  // shared: the mask, then each query
  __device__ void stage(const Scan& s, unsigned char* shared, int64_t q0, int count) const {
    uint4* to = reinterpret_cast<uint4*>(shared);
    const uint4* queries = reinterpret_cast<const uint4*>(operand.queries);
    const uint4* mask = reinterpret_cast<const uint4*>(operand.mask);
    for (int i = static_cast<int>(threadIdx.x); i < chunks * (count + 1); i += static_cast<int>(blockDim.x))
      to[i] = i < chunks ? mask[i] : queries[(q0 + i / chunks - 1) * chunks + i % chunks];
    (void)s;
  }

  template <int Q>
  __device__ __forceinline__ void sums(const Scan& s, const unsigned char* shared, const Row& row, int (&out)[Q]) const {
    const uint4* mask = reinterpret_cast<const uint4*>(shared);
#pragma unroll
    for (int q = 0; q < Q; ++q) out[q] = 0;
    for (int c = s.codes.head / kChunk / 2 * 2; c < chunks; c += 2) {
      const uint4 a = row.four(c), b = row.four(c + 1), ma = mask[c], mb = mask[c + 1];
#pragma unroll
      for (int q = 0; q < Q; ++q) {
        const uint4* bits = mask + (q + 1) * chunks + c;
        out[q] += count_eight(different_four(a, bits[0], ma), different_four(b, bits[1], mb));
      }
    }
  }

  __device__ __forceinline__ float sum_of(int sum, int64_t) const { return static_cast<float>(sum); }
};

struct Tiles {
  static constexpr bool kExact = true;
  static constexpr Product kProduct = Product::kBits;
  struct State {
    int ones[2] = {0, 0};
  };
  const uint8_t* queries;
  const uint8_t* mask;
  const int* bits;
  int steps;

  __device__ __forceinline__ void fragment(const Scan& s, int64_t group, int half, int step, uint32_t (&a)[4], State& state) const {
    const int g = lane_id() / 4, t = lane_id() % 4;
    const Row low(s.codes, group * kGroup + 16 * half + g), high(s.codes, group * kGroup + 16 * half + g + 8);
#pragma unroll
    for (int part = 0; part < 2; ++part) {
      const int w = 8 * step + 4 * part + t;
      const uint32_t m = *reinterpret_cast<const uint32_t*>(mask + 4 * w);
      a[2 * part] = w < low.words ? low.word(w) & m : 0;
      a[2 * part + 1] = w < low.words ? high.word(w) & m : 0;
      state.ones[0] += __popc(a[2 * part]);
      state.ones[1] += __popc(a[2 * part + 1]);
    }
  }
  // The four lanes of a row have counted a quarter of it each.
  __device__ __forceinline__ void gather(State& state) const {
#pragma unroll
    for (int i = 0; i < 2; ++i) {
      state.ones[i] += __shfl_xor_sync(kAllLanes, state.ones[i], 1);
      state.ones[i] += __shfl_xor_sync(kAllLanes, state.ones[i], 2);
    }
  }
  __device__ __forceinline__ float sum_of(int shared, int64_t q, const State& state, int which) const {
    return static_cast<float>(state.ones[which] + bits[q] - 2 * shared);
  }
};

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" size_t vp_cuda_hamming_operand(const VpScan* a) {
  return a && a->nq > 0 && a->codes.code_size >= 0 ? operand_bytes(a->nq, a->codes.code_size) : 0;
}

extern "C" int vp_cuda_hamming(const VpScan* a, const uint8_t* bits) {
  if (const int code = check_scan(a)) return code;
  const int head = a->codes.head, size = a->codes.code_size - head;
  if (size > 8191 || (a->nq && size && !bits)) return VP_CUDA_ARGUMENT;
  const int steps = steps_of(a->codes.code_size);
  const std::size_t row = static_cast<std::size_t>(steps) * 32;
  const bool by_tiles = a->nq >= kBatch && (kEmulated || (capability() >= 80 && capability() < 100));
  return run_scan(
      *a, operand_bytes(a->nq, a->codes.code_size),
      [&](const Scan& s) {
        const Operand out = operand_of(s.operand, s.nq, a->codes.code_size);
        const int threads = kEmulated ? 64 : 128;
        const int64_t blocks = (s.nq + 1) * 32 / threads + 1;
        return launch(prepare_kernel, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), 0, s.stream, out, bits, s.nq,
                      head, size, static_cast<int>(row));
      },
      [&](const Scan& s, int64_t first, int64_t last) {
        const Operand o = operand_of(s.operand, s.nq, a->codes.code_size);
        if (by_tiles) return launch_tiles(s, Tiles{o.queries, o.mask, o.bits, steps}, first, last);
        const Rows op{o, 2 * steps};
        if (s.nq == 1 || row * 9 > 48 << 10) return launch_rows<1>(s, op, row * 2, first, last);
        return launch_rows<8>(s, op, row * 9, first, last);
      });
}
