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

// What lane t of four holds of a row for one product: bytes 4 t .. and 16 + 4 t ..
template <Form F, int W>
__device__ __forceinline__ void words_of(const Row& row, const Numbers& n, int step, int t, uint32_t& a, uint32_t& b) {
  if constexpr (F == Form::kJoint) {
    a = joint_number(row, n, 8 * step + t);
    b = joint_number(row, n, 8 * step + 4 + t);
  } else if constexpr (F == Form::kBytes) {
    const int w = 8 * step + t;
    a = (w < row.words ? row.word(w) : 0) ^ 0x80808080u;
    b = (w + 4 < row.words ? row.word(w + 4) : 0) ^ 0x80808080u;
  } else {
    constexpr int kProducts = 4 / W;
    const int w = step / kProducts * 4 + t;
    pair_of<F, W>(w < row.words ? row.word(w) : 0, step % kProducts, F == Form::kPick ? *n.picks : make_uint4(0, 0, 0, 0), a, b);
  }
}

// All of a product's words of a row, of piece `chunk` and product k of it.
template <Form F, int W>
__device__ __forceinline__ void all_words_of(const Row& row, const Numbers& n, const uint4& piece, const uint4& picks, int step, int k,
                                             uint32_t (&a)[4], uint32_t (&b)[4]) {
  if constexpr (F == Form::kJoint) {
#pragma unroll
    for (int t = 0; t < 4; ++t) words_of<F, W>(row, n, step, t, a[t], b[t]);
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
#pragma unroll kAhead
  for (int chunk = 0; chunk * kProducts < n.steps; ++chunk) {
    const uint4 piece = F == Form::kJoint ? none : row.four(F == Form::kBytes ? 2 * chunk : chunk);
#pragma unroll
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
