// Products of whole numbers: a query's bytes with those that a row's numbers stand for, by a thread a row or by the tensor cores.
#pragma once

#include "core/unpack.cuh"

namespace vecpress::cuda {

struct Numbers {
  Planes planes;
  int steps;             // products that a row is deep
  const uint8_t* bytes;  // [nq, steps, 32]: the queries, int8, in the order of `dimension_at`
  const uint8_t* valid;  // [steps, 32]: 255 for bytes that are dimensions, else 0; where rows are gathered
  const int8_t* table;   // [256]: what kJoint's numbers stand for, nullptr: themselves
  const uint4* picks;    // of kPick, and of kJoint of 3 bits
};

// What a row is beside its products: its numbers summed, and their squares.
struct Gathered {
  int sum = 0, square = 0;
  __device__ __forceinline__ void add(uint32_t numbers, uint32_t valid) {
    numbers &= valid;
    sum = __dp4a(static_cast<int>(numbers), 0x01010101, sum);
    square = __dp4a(static_cast<int>(numbers), static_cast<int>(numbers), square);
  }
};

__device__ __forceinline__ uint32_t joint_number(const Row& row, const Numbers& n, int i) {
  const uint32_t labels = joint_of(row, n.planes, i);
  return !n.table ? labels : n.picks ? look_up_few(labels, *n.picks) : look_up(labels, n.table);
}

// Word t of a piece of rows `row` and row + 8 of a group, zeros behind the stored code.
__device__ __forceinline__ void words_of_two(const Codes& c, int64_t group, int row, int chunk, int t, uint32_t& low, uint32_t& high) {
  const uint8_t* at = c.data + group * group_bytes(c.stride) + chunk * (kGroup * kChunk);
  const int left = (c.stride + 3) / 4 - 4 * chunk;
  if (left >= 4) {
    at += (row * 4 + t) * 4;
    low = *reinterpret_cast<const uint32_t*>(at);
    high = *reinterpret_cast<const uint32_t*>(at + 8 * kChunk);
  } else {
    at += (row * left + t) * 4;
    low = t < left ? *reinterpret_cast<const uint32_t*>(at) : 0;
    high = t < left ? *reinterpret_cast<const uint32_t*>(at + 8 * 4 * left) : 0;
  }
}

// What a lane holds of 16 rows of a group for one product (core/mma.cuh).
template <Form F, int W>
__device__ __forceinline__ void fragment_of(const Codes& c, const Numbers& n, int64_t group, int half, int step, uint32_t (&a)[4]) {
  const int row = 16 * half + lane_id() / 4, t = lane_id() % 4;
  if constexpr (F == Form::kJoint) {
    const Row low(c, group * kGroup + row), high(c, group * kGroup + row + 8);
    a[0] = joint_number(low, n, 8 * step + t);
    a[1] = joint_number(high, n, 8 * step + t);
    a[2] = joint_number(low, n, 8 * step + 4 + t);
    a[3] = joint_number(high, n, 8 * step + 4 + t);
  } else if constexpr (F == Form::kBytes) {
    words_of_two(c, group, row, 2 * step, t, a[0], a[1]);
    words_of_two(c, group, row, 2 * step + 1, t, a[2], a[3]);
#pragma unroll
    for (int i = 0; i < 4; ++i) a[i] ^= 0x80808080u;
  } else {
    constexpr int kProducts = 4 / W;
    const uint4 picks = F == Form::kPick ? __ldg(n.picks) : make_uint4(0, 0, 0, 0);
    uint32_t low, high;
    words_of_two(c, group, row, step / kProducts, t, low, high);
    pair_of<F, W>(low, step % kProducts, picks, a[0], a[2]);
    pair_of<F, W>(high, step % kProducts, picks, a[1], a[3]);
  }
}

// Asks for a group's codes of `count` products from `step` on, by a warp: pieces of 32 rows are four lines.
template <Form F, int W>
__device__ __forceinline__ void fetch_numbers(const Codes& c, int64_t group, int step, int count) {
  if constexpr (F != Form::kJoint) {
    constexpr int kProducts = F == Form::kBytes ? 1 : 4 / W, kPieces = F == Form::kBytes ? 2 : 1;
    const int64_t at = static_cast<int64_t>(step / kProducts) * kPieces * kGroup * kChunk + 128 * lane_id();
    const int lines = (count + kProducts - 1) / kProducts * kPieces * 4;
    if (lane_id() < lines && at < group_bytes(c.stride)) fetch(c.data + group * group_bytes(c.stride) + at);
  }
}

// All of a product's words of a row, of piece `chunk` and product k of it.
template <Form F, int W>
__device__ __forceinline__ void all_words_of(const Row& row, const Numbers& n, const uint4& piece, const uint4& picks, int step, int k,
                                             uint32_t (&a)[4], uint32_t (&b)[4]) {
  if constexpr (F == Form::kJoint) {
#pragma unroll
    for (int t = 0; t < 4; ++t) {
      a[t] = joint_number(row, n, 8 * step + t);
      b[t] = joint_number(row, n, 8 * step + 4 + t);
    }
  } else if constexpr (F == Form::kBytes) {
    const uint4 other = row.four(2 * step + 1);
    a[0] = piece.x ^ 0x80808080u, a[1] = piece.y ^ 0x80808080u, a[2] = piece.z ^ 0x80808080u, a[3] = piece.w ^ 0x80808080u;
    b[0] = other.x ^ 0x80808080u, b[1] = other.y ^ 0x80808080u, b[2] = other.z ^ 0x80808080u, b[3] = other.w ^ 0x80808080u;
  } else {
    pair_of<F, W>(piece.x, k, picks, a[0], b[0]);
    pair_of<F, W>(piece.y, k, picks, a[1], b[1]);
    pair_of<F, W>(piece.z, k, picks, a[2], b[2]);
    pair_of<F, W>(piece.w, k, picks, a[3], b[3]);
  }
}

__device__ __forceinline__ int multiply_four(const uint32_t (&a)[4], const uint4& x, int sum) {
  sum = __dp4a(static_cast<int>(a[0]), static_cast<int>(x.x), sum);
  sum = __dp4a(static_cast<int>(a[1]), static_cast<int>(x.y), sum);
  sum = __dp4a(static_cast<int>(a[2]), static_cast<int>(x.z), sum);
  return __dp4a(static_cast<int>(a[3]), static_cast<int>(x.w), sum);
}

// A row's products with Q queries, which lie one after the other at `queries`.
template <Form F, int W, bool kGather, int Q>
__device__ __forceinline__ void products_of(const Row& row, const Numbers& n, const uint4* queries, int (&out)[Q], Gathered& gathered) {
  constexpr int kProducts = F == Form::kSplit || F == Form::kPick ? 4 / (W ? W : 4) : 1;
  const uint4 none = make_uint4(0, 0, 0, 0), picks = F == Form::kPick ? *n.picks : none;
#pragma unroll
  for (int q = 0; q < Q; ++q) out[q] = 0;
  [[maybe_unused]] constexpr int kAhead = Q == 1 && kProducts == 1 && F != Form::kJoint ? 4 : 1;  // pieces that are on their way
  [[maybe_unused]] constexpr int kParts = kGather && Q > 1 ? 1 : kProducts;
#pragma unroll kAhead
  for (int chunk = 0; chunk * kProducts < n.steps; ++chunk) {
    const uint4 piece = F == Form::kJoint ? none : row.four(F == Form::kBytes ? 2 * chunk : chunk);
#pragma unroll kParts
    for (int k = 0; k < kProducts; ++k) {
      const int step = chunk * kProducts + k;
      uint32_t a[4], b[4];
      all_words_of<F, W>(row, n, piece, picks, step, k, a, b);
#pragma unroll
      for (int q = 0; q < Q; ++q) {
        const uint4* at = queries + 2 * (static_cast<int64_t>(q) * n.steps + step);
        out[q] = multiply_four(b, at[1], multiply_four(a, at[0], out[q]));
      }
      if constexpr (kGather) {
        const uint32_t* valid = reinterpret_cast<const uint32_t*>(n.valid) + 8 * step;
#pragma unroll
        for (int t = 0; t < 4; ++t) {
          gathered.add(a[t], valid[t]);
          gathered.add(b[t], valid[4 + t]);
        }
      }
    }
  }
}

// Queries q0 .. of a block to shared memory, those behind the last as zeros.
template <int Q>
__device__ inline void stage_bytes(const Numbers& n, unsigned char* shared, int64_t q0, int count) {
  uint4* to = reinterpret_cast<uint4*>(shared);
  const uint4* from = reinterpret_cast<const uint4*>(n.bytes) + 2 * q0 * n.steps;
  for (int i = static_cast<int>(threadIdx.x); i < 2 * Q * n.steps; i += static_cast<int>(blockDim.x))
    to[i] = i < 2 * count * n.steps ? from[i] : make_uint4(0, 0, 0, 0);
}

}  // namespace vecpress::cuda
