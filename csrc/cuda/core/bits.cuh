// Scans of packed bits: bits that differ between a code and a query, counted. What sums are made of the counts is the operation's.
//
// One query, and few: a thread a row, bits counted by carry-save adders; reading codes is the limit. Batches: bits that code and query share, by
// the binary tensor cores of sm_80 to sm_90: different = bits of the code + bits of the query - 2 shared. Later devices lack these.
#pragma once

#include "core/popcount.cuh"
#include "core/rows.cuh"
#include "core/tiles.cuh"

namespace vecpress::cuda {
namespace {  // a kernel of its own for each operation

// Queries as whole codes: what stands before and behind the payload is zero, in the mask too. 32 bytes more or less are whole steps.
struct BitOperand {
  uint8_t* queries;  // [nq, steps, 32]
  uint8_t* mask;     // [steps, 32]
  int* bits;         // [nq]: ones of each query
};

inline int bit_steps(int64_t code_size) { return static_cast<int>((code_size + 31) / 32); }

inline std::size_t bit_operand_bytes(int64_t nq, int64_t code_size) {
  const std::size_t row = static_cast<std::size_t>(bit_steps(code_size)) * 32;
  return aligned(static_cast<std::size_t>(nq) * row) + aligned(row) + aligned(static_cast<std::size_t>(nq) * sizeof(int));
}

inline BitOperand bit_operand_of(void* memory, int64_t nq, int64_t code_size) {
  const std::size_t row = static_cast<std::size_t>(bit_steps(code_size)) * 32;
  uint8_t* at = static_cast<uint8_t*>(memory);
  BitOperand out;
  out.queries = at;
  at += aligned(static_cast<std::size_t>(nq) * row);
  out.mask = at;
  at += aligned(row);
  out.bits = reinterpret_cast<int*>(at);
  return out;
}

// A warp a query; the last warp makes the mask. `last`: which bits of the payload's last byte count.
__global__ void prepare_bits_kernel(BitOperand out, const uint8_t* bits, int64_t nq, int head, int size, int row, int last) {
  const int64_t q = (static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x) / 32;
  const int lane = lane_id();
  if (q > nq) return;
  if (q == nq) {
    for (int i = lane; i < row; i += 32)
      out.mask[i] = static_cast<uint8_t>(i < head || i >= head + size ? 0 : i == head + size - 1 ? last : 255);
    return;
  }
  int ones = 0;
  for (int i = lane; i < row; i += 32) {
    int byte = i >= head && i < head + size ? bits[q * size + i - head] : 0;
    if (i == head + size - 1) byte &= last;
    out.queries[q * row + i] = static_cast<uint8_t>(byte);
    ones += __popc(static_cast<uint32_t>(byte));
  }
  for (int by = 16; by; by /= 2) ones += __shfl_xor_sync(kAllLanes, ones, by);
  if (lane == 0) out.bits[q] = ones;
}

struct BitRows {
  static constexpr bool kExact = true;
  using Sum = int;
  BitOperand operand;
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

struct BitTiles {
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
    return static_cast<float>(state.ones[which] + __ldg(bits + q) - 2 * shared);
  }
};

inline int prepare_bits(const Scan& s, const BitOperand& out, const uint8_t* bits, int last) {
  const int threads = kEmulated ? 64 : 128, size = s.codes.code_size - s.codes.head;
  const int64_t blocks = (s.nq + 1) * 32 / threads + 1;
  return launch(prepare_bits_kernel, dim3(static_cast<unsigned>(blocks)), dim3(static_cast<unsigned>(threads)), 0, s.stream, out, bits, s.nq,
                s.codes.head, size, bit_steps(s.codes.code_size) * 32, last);
}

inline bool bits_by_tiles(int64_t nq) { return nq >= kBatch && (kEmulated || (capability() >= 80 && capability() < 100)); }

// Rows and Tiles: BitRows and BitTiles, or what says otherwise what becomes of counts.
template <class Rows, class Tiles>
inline int scan_bits(const Scan& s, const Rows& rows, const Tiles& tiles, int64_t first, int64_t last) {
  const std::size_t row = static_cast<std::size_t>(bit_steps(s.codes.code_size)) * 32;
  if (bits_by_tiles(s.nq)) return launch_tiles(s, tiles, first, last);
  if (s.nq == 1 || row * 9 > 48 << 10) return launch_rows<1>(s, rows, row * 2, first, last);
  return launch_rows<8>(s, rows, row * 9, first, last);
}

}  // namespace
}  // namespace vecpress::cuda
