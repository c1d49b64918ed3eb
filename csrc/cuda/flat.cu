// Scan of uncompressed rows on a device. Definition: vecpress/ops/flat.py.
//
// The definition's order, one chain of multiply-adds a row and query, leaves nothing to share but loads: a thread has R rows and Q queries, reads 16
// bytes of each row and of each query, and does the multiply-adds between all of them. Queries lie in shared memory, in slabs.
#include "core/scan.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kThreads = kEmulated ? 64 : 256;
constexpr int kSlabBytes = 16 << 10;  // of queries, in shared memory

// Where components lie in the pieces of a code. A code's words are read shifted by what the head leaves of one, so that word w holds those of
// bytes 4 w + head % 4 on. Places of the first and the last piece may hold none: there both numbers are zeros that change no sum.
struct Shape {
  int head, end, dim;        // first byte of the payload, its last but one, and components
  int first, last, unmasked;  // pieces that hold some; the first behind `first` that may hold places without one
};

template <bool kHalf>
constexpr int kPerPiece = kHalf ? 8 : 4;

template <bool kHalf>
inline Shape shape_of(int head, int dim) {
  const int end = head + dim * (kHalf ? 2 : 4), shift = head % 4;
  const int last = dim ? (end - shift + kChunk - 1) / kChunk : head / kChunk;
  return {head, end, dim, head / kChunk, last, (end - shift) / kChunk};
}

// The component of place p of the pieces; below 0 and from dim on there is none.
template <bool kHalf>
__device__ __forceinline__ int component(const Shape& shape, int p) {
  return p - shape.head / 4 * (kHalf ? 2 : 1);
}

#if defined(VECPRESS_EMULATE)
inline float half_number(uint32_t bits) { return half_value(bits & 0xffffu); }
#else
__device__ __forceinline__ float half_number(uint32_t bits) {
  float x;
  asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(static_cast<unsigned short>(bits)));
  return x;
}
#endif

// Component i of a piece's words, already shifted.
template <bool kHalf>
__device__ __forceinline__ float number(const uint32_t (&words)[4], int i) {
  if (kHalf) return half_number(i % 2 ? words[i / 2] >> 16 : words[i / 2]);
  return __uint_as_float(words[i]);
}

template <int Q, int R, bool kHalf, bool kL2>
struct Sums {
  static constexpr int kPer = kPerPiece<kHalf>;
  float sum[R][Q];

  // words: a piece of each row; queries: [Q][kPer]
  __device__ __forceinline__ void add(const uint32_t (&words)[R][4], const float* queries) {
#pragma unroll
    for (int part = 0; part < kPer / 4; ++part) {
      float x[R][4];
#pragma unroll
      for (int r = 0; r < R; ++r)
#pragma unroll
        for (int i = 0; i < 4; ++i) x[r][i] = number<kHalf>(words[r], 4 * part + i);
#pragma unroll
      for (int q = 0; q < Q; ++q) {
        const float4 four = *reinterpret_cast<const float4*>(queries + q * kPer + 4 * part);
        const float y[4] = {four.x, four.y, four.z, four.w};
#pragma unroll
        for (int r = 0; r < R; ++r)
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            if (kL2) {
              const float e = __fsub_rn(y[i], x[r][i]);
              sum[r][q] = __fmaf_rn(e, e, sum[r][q]);
            } else {
              sum[r][q] = __fmaf_rn(y[i], x[r][i], sum[r][q]);
            }
          }
      }
    }
  }
};

__device__ __forceinline__ void shifted(uint32_t (&words)[4], const uint4& now, const uint4& next, unsigned shift) {
  words[0] = __funnelshift_r(now.x, now.y, shift);
  words[1] = __funnelshift_r(now.y, now.z, shift);
  words[2] = __funnelshift_r(now.z, now.w, shift);
  words[3] = __funnelshift_r(now.w, next.x, shift);
}

// Zeros where a piece's places hold no component: with the query's -0 there, products are -0, which added to anything leaves it as it is, and
// squares of differences are 0.
template <bool kHalf>
__device__ __forceinline__ void mask(const Shape& shape, int piece, uint32_t (&words)[4]) {
#pragma unroll
  for (int w = 0; w < 4; ++w) {
    const int t = component<kHalf>(shape, piece * kPerPiece<kHalf> + w * (kHalf ? 2 : 1));
    if (kHalf) {
      if (t < 0 || t >= shape.dim) words[w] &= 0xffff0000u;
      if (t + 1 < 0 || t + 1 >= shape.dim) words[w] &= 0xffffu;
    } else if (t < 0 || t >= shape.dim) {
      words[w] = 0;
    }
  }
}

template <int Q, int R, int kAhead, bool kHalf, bool kL2>
__global__ void __launch_bounds__(kThreads, R == 1 ? 3 : R == 2 ? 2 : 1)
    flat_kernel(Scan s, const float* rows, Shape shape, unsigned query_tiles, int64_t first, int64_t last) {
  constexpr int kPer = kPerPiece<kHalf>, kSlab = kSlabBytes / (Q * kPer * 4);  // pieces
  __align__(16) __shared__ float queries[kSlab * Q * kPer];
  const int64_t q0 = static_cast<int64_t>(blockIdx.x % query_tiles) * Q;  // blocks side by side read the same rows
  const int count = static_cast<int>(s.nq - q0 < Q ? s.nq - q0 : Q);
  const unsigned blocks = gridDim.x / query_tiles;
  constexpr int64_t kTile = static_cast<int64_t>(kThreads) * R;
  const unsigned shift = 8u * static_cast<unsigned>(shape.head % 4);
  const bool once = shape.last - shape.first <= kSlab;
  bool staged = false;
  for (int64_t base = first + blockIdx.x / query_tiles * kTile; base < last; base += blocks * kTile) {
    const int64_t row0 = base + (threadIdx.x & ~31u) * R + lane_id();
    bool live[R], any = false;
#pragma unroll
    for (int r = 0; r < R; ++r) {
      live[r] = row0 + 32 * r < last && allowed(s, row0 + 32 * r);
      any = any || live[r];
    }
    any = __any_sync(kAllLanes, any);
    Sums<Q, R, kHalf, kL2> sums;
#pragma unroll
    for (int r = 0; r < R; ++r)
#pragma unroll
      for (int q = 0; q < Q; ++q) sums.sum[r][q] = 0.0f;
    for (int from = shape.first; from < shape.last; from += kSlab) {
      const int to = shape.last - from < kSlab ? shape.last : from + kSlab;
      if (!staged) {
        __syncthreads();
#pragma unroll 1
        for (int i = static_cast<int>(threadIdx.x); i < (to - from) * Q * kPer; i += kThreads) {
          const int q = i / kPer % Q, t = component<kHalf>(shape, (from + i / (kPer * Q)) * kPer + i % kPer);
          queries[i] = q < count && t >= 0 && t < shape.dim ? rows[(q0 + q) * shape.dim + t] : -0.0f;
        }
        __syncthreads();
        staged = once;
      }
      if (!any) continue;
      uint4 now[R];
      Row row(s.codes, row0 < last ? row0 : last - 1);
      const uint8_t* const group = row.group;
      // the rows of a lane have its place in R groups; groups behind the last are read as the first
      const auto row_of = [&](int r) {
        row.group = group + (row0 + 32 * r < last ? r * group_bytes(s.codes.stride) : 0);
        return row;
      };
#pragma unroll
      for (int r = 0; r < R; ++r) now[r] = row_of(r).four(from);
#pragma unroll 1
      for (int c = from; c < to;) {
        uint32_t words[R][4];
        if (c > shape.first && c + kAhead <= to && c + kAhead <= shape.unmasked && row_of(0).whole(c + kAhead)) {
          uint4 next[kAhead][R];
#pragma unroll
          for (int i = 0; i < kAhead; ++i)
#pragma unroll
            for (int r = 0; r < R; ++r) next[i][r] = row_of(r).chunk(c + i + 1);
#pragma unroll
          for (int i = 0; i < kAhead; ++i) {
#pragma unroll
            for (int r = 0; r < R; ++r) {
              shifted(words[r], now[r], next[i][r], shift);
              now[r] = next[i][r];
            }
            sums.add(words, queries + (c + i - from) * Q * kPer);
          }
          c += kAhead;
        } else {
#pragma unroll
          for (int r = 0; r < R; ++r) {
            const uint4 next = row_of(r).four(c + 1);
            shifted(words[r], now[r], next, shift);
            mask<kHalf>(shape, c, words[r]);
            now[r] = next;
          }
          sums.add(words, queries + (c - from) * Q * kPer);
          ++c;
        }
      }
    }
    if (!any) continue;
#pragma unroll
    for (int r = 0; r < R; ++r) {
      const int64_t row = row0 + 32 * r;
      if (!__any_sync(kAllLanes, live[r])) continue;
      const RowFactors factors(s, Row(s.codes, row < last ? row : last - 1));
#pragma unroll
      for (int q = 0; q < Q; ++q) {
        if (q >= count) break;
        const float score = factors.finish(kL2 ? -sums.sum[r][q] : sums.sum[r][q], constant_of(s, q0 + q));
        const bool enters = live[r] && reaches(s, s.bars[q0 + q], score, static_cast<uint32_t>(row));
        offer_rows(s, q0 + q, enters, score, static_cast<uint32_t>(row));
      }
    }
  }
}

template <int Q, int R, int kAhead, bool kHalf, bool kL2>
int launch_flat(const Scan& s, const float* rows, int dim, int64_t first, int64_t last) {
  const int64_t query_tiles = (s.nq + Q - 1) / Q, tile = static_cast<int64_t>(kThreads) * R;
  const int64_t wanted = (last - first + tile - 1) / tile;
  int64_t most = (static_cast<int64_t>(multiprocessors()) * 8 + query_tiles - 1) / query_tiles;
  if (wanted < most) most = wanted;
  if (query_tiles * most >= int64_t{1} << 31) return VP_CUDA_ARGUMENT;
  return launch(flat_kernel<Q, R, kAhead, kHalf, kL2>, dim3(static_cast<unsigned>(query_tiles * most)), dim3(kThreads), 0, s.stream, s, rows,
                shape_of<kHalf>(s.codes.head, dim), static_cast<unsigned>(query_tiles), first, last);
}

template <bool kHalf, bool kL2>
int launch_flat(const Scan& s, const float* rows, int dim, int64_t first, int64_t last) {
  if (s.nq == 1) return launch_flat<1, 1, 4, kHalf, kL2>(s, rows, dim, first, last);
  if (s.nq <= 4) return launch_flat<4, 2, 2, kHalf, kL2>(s, rows, dim, first, last);
  return launch_flat<16, 4, 1, kHalf, kL2>(s, rows, dim, first, last);
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" size_t vp_cuda_flat_operand(const VpScan*, int, int) { return 0; }

extern "C" int vp_cuda_flat(const VpScan* a, const float* rows, int bytes, int l2) {
  if (const int code = check_scan(a)) return code;
  const int size = a->codes.code_size - a->codes.head;
  if ((bytes != 2 && bytes != 4) || size % bytes || (a->nq && size && !rows)) return VP_CUDA_ARGUMENT;
  const int dim = size / bytes;
  return by_parts(*a, [&](const VpScan& part, int64_t q0) {
    const float* its = rows + q0 * dim;
    return run_scan(
        part, 0, [](const Scan&) { return VP_CUDA_OK; },
        [&](const Scan& s, int64_t first, int64_t last) {
          if (bytes == 2) return l2 ? launch_flat<true, true>(s, its, dim, first, last) : launch_flat<true, false>(s, its, dim, first, last);
          return l2 ? launch_flat<false, true>(s, its, dim, first, last) : launch_flat<false, false>(s, its, dim, first, last);
        });
  });
}
