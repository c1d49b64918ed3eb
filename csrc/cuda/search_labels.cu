// Rows to labels of residual codebooks: a beam search in whole numbers. Definition: vecpress/ops/search_labels.py.
//
// A block takes a tile of rows through all steps. Between barriers, a step is
//
//   products    a warp: 8 rows by 128 labels, 4 a lane, in registers; a read of entries serves 8 rows, a read of the rows' bytes all labels
//   a row each  a warp: totals of its rows, of two paths at a time, 8 labels a lane; the least of them (core/least.cuh); paths that grow
//               from there; what the first of them leaves, which is kept where `rest` goes; and that as whole numbers
//
//   shared memory of a row   | int32[256] products, and before these the row's bytes, 1024 at a time | paths | float[16] scores | magnitude |
//   of a warp                | kept, ascending: 16 | buffer: 96 |
//
// A row's bytes lie where its products will, and both are read by the warp that owns the row, so one row's work follows the other's freely.
#include "core/grids.cuh"
#include "core/least.cuh"

namespace vecpress::cuda {
namespace {

constexpr int kEntries = 256, kMostLabels = 64, kMostPaths = 16;
constexpr int kMostRows = 32, kTogether = 8;   // of a tile; whose products a warp sums
constexpr int kOwn = 4;                     // rows of a warp where it goes row by row: two warps for each group
constexpr int kPaths = 2, kColumns = 8;     // of a lane
constexpr int kBuffer = 96;                 // three offers
constexpr int kChunk = 256;                 // words of a row's bytes that are there at once
constexpr int64_t kMostDimensions = 1 << 18;  // 63 * 128 times as much is less than 2^31
constexpr uint32_t kSigns = 0x80808080u, kMiddle = 0x40004000u;

struct Search {
  uint8_t* found;          // [n, last, depth]
  float* reached;          // [n, last]
  float* rest;             // [n, d]
  const float* y;          // [n, d]
  const float* books;      // [depth, 256, d]
  const uint8_t* entries;  // [steps, quads, 256, 4]
  const float* factors;    // [steps, 2]
  const float* squares;    // [steps, 256]
  const int8_t* pairs;     // [.., 256, 256]
  const uint8_t* paths;    // [n, b, depth - steps]
  const float* scores;     // [n, b]
  int64_t n, d, quads;
  int depth, steps, b, beam, last;
  int words, most;  // of a path in shared memory; paths of a row there
};

// A tile's shared memory.
struct Tile {
  uint64_t* kept;
  uint32_t* numbers;  // [rows, 256]
  uint32_t* paths;    // [rows, most, words]
  float* scores;      // [rows, 16]
  float* magnitudes;  // [rows]

  __device__ __forceinline__ Tile(const Search& a, int rows) {
    kept = dynamic_shared<uint64_t>();
    numbers = reinterpret_cast<uint32_t*>(kept + rows / kOwn * (kMostPaths + kBuffer));
    paths = numbers + rows * kEntries;
    scores = reinterpret_cast<float*>(paths + rows * a.most * a.words);
    magnitudes = scores + rows * kMostPaths;
  }
  static std::size_t bytes(const Search& a, int rows) {
    const int row = 4 * (kEntries + a.most * a.words + kMostPaths + 1);
    return static_cast<std::size_t>(rows * row + rows / kOwn * static_cast<int>(sizeof(uint64_t)) * (kMostPaths + kBuffer));
  }
};

// Four components from t on, zeros behind the last.
template <bool kFours>
__device__ __forceinline__ float4 load(const float* row, int64_t t, int64_t d) {
  if (t >= d) return make_float4(0, 0, 0, 0);
  if constexpr (kFours) return *reinterpret_cast<const float4*>(row + t);
  return make_float4(row[t], t + 1 < d ? row[t + 1] : 0.0f, t + 2 < d ? row[t + 2] : 0.0f, t + 3 < d ? row[t + 3] : 0.0f);
}

template <bool kFours>
__device__ __forceinline__ void store(float* row, int64_t t, int64_t d, const float4& x) {
  if constexpr (kFours) {
    *reinterpret_cast<float4*>(row + t) = x;
  } else {
    row[t] = x.x;
    if (t + 1 < d) row[t + 1] = x.y;
    if (t + 2 < d) row[t + 2] = x.z;
    if (t + 3 < d) row[t + 3] = x.w;
  }
}

__device__ __forceinline__ uint32_t magnitude(float x) { return __float_as_uint(x) & 0x7fffffffu; }

// rest = what labels from .. to - 1 leave of what those before left, or of y; gives its largest magnitude: NaN where one is.
template <bool kFours>
__device__ __forceinline__ float leave(const Search& a, int lane, int64_t row, const uint8_t* path, int from, int to) {
  float* left = a.rest + row * a.d;
  const float* source = from ? left : a.y + row * a.d;
  uint32_t most = 0;  // as bits: of magnitudes these are in the order of numbers, and NaN is above all
  for (int64_t t = 4 * lane; t < a.d; t += 128) {
    float4 x = load<kFours>(source, t, a.d);
    for (int i = from; i < to; ++i) {
      const float4 e = load<kFours>(a.books + (static_cast<int64_t>(i) * kEntries + path[i]) * a.d, t, a.d);
      x = make_float4(__fsub_rn(x.x, e.x), __fsub_rn(x.y, e.y), __fsub_rn(x.z, e.z), __fsub_rn(x.w, e.w));
    }
    store<kFours>(left, t, a.d, x);
    most = max(max(most, max(magnitude(x.x), magnitude(x.y))), max(magnitude(x.z), magnitude(x.w)));
  }
#pragma unroll
  for (int by = 16; by; by /= 2) most = max(most, __shfl_xor_sync(kAllLanes, most, by));
  return __uint_as_float(most);
}

// rint(near) - 64 in the low byte: whole numbers are the steps of floats from 2^23 on, and halves go to even ones by 64 more or less.
__device__ __forceinline__ uint32_t whole_number(float x, float inverse) {
  const float near = fmaxf(__fmaf_rn(x, inverse, 64.0f), 1.0f);  // NaN becomes 1; 63 (1 + 2^-24) + 64 at most, which goes to 127
  return __float_as_uint(__fadd_rn(near, 12582912.0f - 64.0f));
}

// A row's bytes of `count` words from word `first` on, zeros up to an even number of words. Its lanes read what they have written.
template <bool kFours>
__device__ __forceinline__ void round_row(const Search& a, int lane, int64_t row, float most, int64_t first, int count, uint32_t* bytes) {
  const float inverse = most >= 0x1p-100f ? 63.0f / most : 0.0f;
  const float* left = a.rest + row * a.d;
  for (int i = lane; i < (count + 1) / 2 * 2; i += 32) {
    const float4 x = load<kFours>(left, 4 * (first + i), row < a.n ? a.d : 0);
    const uint32_t low = __byte_perm(whole_number(x.x, inverse), whole_number(x.y, inverse), 0x0040);
    const uint32_t high = __byte_perm(whole_number(x.z, inverse), whole_number(x.w, inverse), 0x0040);
    bytes[i] = __byte_perm(low, high, 0x5410);
  }
}

// Word k of four labels' entries, as signed bytes.
__device__ __forceinline__ uint4 entries_at(const uint8_t* entries, int k) {
  const uint4 x = *reinterpret_cast<const uint4*>(entries + k * (4 * kEntries));
  return make_uint4(x.x ^ kSigns, x.y ^ kSigns, x.z ^ kSigns, x.w ^ kSigns);
}

// Adds products of a group's bytes with `count` words of entries of four labels. Two words at a time: more would be in the way of registers, and
// between products, which take two cycles each, there is room for the reads.
__device__ __forceinline__ void multiply(const uint32_t* bytes, const uint8_t* entries, int count, int (&sum)[kTogether][4]) {
#pragma unroll 1
  for (int k = 0; k < count; k += 2) {
    const uint4 x = entries_at(entries, k), z = k + 1 < count ? entries_at(entries, k + 1) : make_uint4(0, 0, 0, 0);  // there rows have zeros
#pragma unroll
    for (int r = 0; r < kTogether; ++r) {
      const uint2 two = *reinterpret_cast<const uint2*>(bytes + r * kEntries + k);
      sum[r][0] = __dp4a(static_cast<int>(z.x), static_cast<int>(two.y), __dp4a(static_cast<int>(x.x), static_cast<int>(two.x), sum[r][0]));
      sum[r][1] = __dp4a(static_cast<int>(z.y), static_cast<int>(two.y), __dp4a(static_cast<int>(x.y), static_cast<int>(two.x), sum[r][1]));
      sum[r][2] = __dp4a(static_cast<int>(z.z), static_cast<int>(two.y), __dp4a(static_cast<int>(x.z), static_cast<int>(two.x), sum[r][2]));
      sum[r][3] = __dp4a(static_cast<int>(z.w), static_cast<int>(two.y), __dp4a(static_cast<int>(x.w), static_cast<int>(two.x), sum[r][3]));
    }
  }
}

// How a path's pairs differ from the first one's: sums of two numbers a word, each 16384 more. All labels' differences are less than that,
// 63 of at most 255, so that no half borrows from the other.
struct Apart {
  uint32_t even[2], odd[2];

  static __device__ __forceinline__ uint32_t evens(uint32_t bytes) { return (bytes ^ kSigns) & 0x00ff00ffu; }
  static __device__ __forceinline__ uint32_t odds(uint32_t bytes) { return __byte_perm(bytes ^ kSigns, 0, 0x4341); }

  // pairs: those of the step's first earlier label, from the lane's eight labels on.
  __device__ __forceinline__ void sum(int lane, const int8_t* pairs, const uint8_t* path, const uint8_t* best, int labels) {
    even[0] = even[1] = odd[0] = odd[1] = kMiddle;
    for (int first = 0; first < labels; first += 32) {
      const int own = first + lane;
      unsigned unlike = __ballot_sync(kAllLanes, own < labels && path[own] != best[own]);
      for (; unlike; unlike &= unlike - 1) {
        const int i = first + __ffs(static_cast<int>(unlike)) - 1;
        const uint2 x = *reinterpret_cast<const uint2*>(pairs + static_cast<int64_t>(i * kEntries + path[i]) * kEntries);
        const uint2 z = *reinterpret_cast<const uint2*>(pairs + static_cast<int64_t>(i * kEntries + best[i]) * kEntries);
        even[0] = even[0] + evens(x.x) - evens(z.x), odd[0] = odd[0] + odds(x.x) - odds(z.x);
        even[1] = even[1] + evens(x.y) - evens(z.y), odd[1] = odd[1] + odds(x.y) - odds(z.y);
      }
    }
  }
  // Of the lane's label v, as a float: behind the bits of 2^23 a half is what exceeds it.
  __device__ __forceinline__ float of(int v) const {
    const uint32_t word = v % 2 ? odd[v / 4] : even[v / 4];
    return __fsub_rn(__uint_as_float(__byte_perm(word, 0x4b000000u, v % 4 < 2 ? 0x7610 : 0x7632)), 8388608.0f + 16384.0f);
  }
};

// One of 16 that are in registers: by halves.
__device__ __forceinline__ float pick(const float (&x)[16], int i) {
  float some[8];
#pragma unroll
  for (int k = 0; k < 8; ++k) some[k] = i & 8 ? x[k + 8] : x[k];
#pragma unroll
  for (int half = 4; half; half /= 2)
#pragma unroll
    for (int k = 0; k < half; ++k) some[k] = i & half ? some[k + half] : some[k];
  return some[0];
}

// The least totals of a row, into `least`.
__device__ __forceinline__ void choose(const Search& a, int lane, int step, int labels, int b, const int8_t* pairs, const uint32_t* numbers,
                                       const uint8_t* paths, const float* scores, float most, Least& least) {
  const float factor = __fmul_rn(most, a.factors[2 * step]), unit = a.factors[2 * step + 1];
  float own[kColumns];
#pragma unroll
  for (int v = 0; v < kColumns; v += 4) {
    const uint4 x = *reinterpret_cast<const uint4*>(numbers + v / 4 * 128 + 4 * lane);
    const float4 square = *reinterpret_cast<const float4*>(a.squares + step * kEntries + kColumns * lane + v);
    own[v] = __fmaf_rn(static_cast<float>(static_cast<int>(x.x)), factor, square.x);
    own[v + 1] = __fmaf_rn(static_cast<float>(static_cast<int>(x.y)), factor, square.y);
    own[v + 2] = __fmaf_rn(static_cast<float>(static_cast<int>(x.z)), factor, square.z);
    own[v + 3] = __fmaf_rn(static_cast<float>(static_cast<int>(x.w)), factor, square.w);
  }
  least.begin();
  const float infinity = __uint_as_float(0x7f800000u);
  float lowest = infinity;  // of a lane, of all paths so far
  for (int p0 = 0; p0 < b; p0 += kPaths) {
    float total[kPaths * kColumns];
#pragma unroll
    for (int p = 0; p < kPaths; ++p) {
      if (p0 + p >= b) break;  // of what is not there `low` has nothing
      Apart apart;
      apart.sum(lane, pairs + kColumns * lane, paths + (p0 + p) * 4 * a.words, paths, labels);
      const float score = scores[p0 + p];
#pragma unroll
      for (int v = 0; v < kColumns; ++v) {
        const float x = __fadd_rn(own[v], __fmaf_rn(apart.of(v), unit, score));
        total[p * kColumns + v] = x == x ? x : infinity;
        lowest = fminf(lowest, total[p * kColumns + v]);
      }
    }
    least.bar = fminf(least.bar, least_of_lanes(lowest, least.keep));  // what is in the buffer stays: it has become few
    uint32_t low = 0;
#pragma unroll
    for (int i = 0; i < kPaths * kColumns; ++i)
      low |= static_cast<uint32_t>(p0 + i / kColumns < b && !(total[i] > least.bar)) << i;
    for (; __any_sync(kAllLanes, low != 0); low &= low - 1) {  // few lanes have one, fewer two
      const int i = low ? __ffs(static_cast<int>(low)) - 1 : 0;
      least.offer(low != 0, pick(total, i), (p0 + i / kColumns) * kEntries + kColumns * lane + i % kColumns);
      if (least.count > kBuffer - 32) least.settle();
    }
  }
  if (least.count) least.settle();
}

// Paths and scores of a row become those of what was chosen. All is read before it is written, by words that lanes hold.
__device__ __forceinline__ void grow(const Search& a, int lane, int labels, const Least& least, uint32_t* paths, float* scores) {
  constexpr int kHeld = kMostPaths * kMostLabels / 4 / 32;
  const int all = least.keep * a.words;
  uint32_t held[kHeld];
#pragma unroll
  for (int h = 0; h < kHeld; ++h) {
    const int i = 32 * h + lane;
    if (32 * h < all && i < all) held[h] = paths[(least.place(i / a.words) / kEntries) * a.words + i % a.words];
  }
  __syncwarp();
#pragma unroll
  for (int h = 0; h < kHeld; ++h)
    if (32 * h + lane < all) paths[32 * h + lane] = held[h];
  __syncwarp();
  if (lane < least.keep) {
    const float first = least.total(0);
    reinterpret_cast<uint8_t*>(paths + lane * a.words)[labels] = static_cast<uint8_t>(least.place(lane) % kEntries);
    scores[lane] = __fsub_rn(least.total(lane), fabsf(first) < __uint_as_float(0x7f800000u) ? first : 0.0f);
  }
  __syncwarp();
}

// A row's start: its paths, which may have labels, and what the first of them leaves; gives its largest magnitude.
template <bool kFours>
__device__ __forceinline__ float begin_row(const Search& a, int lane, int64_t row, uint8_t* paths, float* scores) {
  const int before = a.depth - a.steps;
  for (int i = lane; i < a.b * before; i += 32) paths[i / before * 4 * a.words + i % before] = a.paths[row * a.b * before + i];
  if (lane < a.b) scores[lane] = a.scores[row * a.b + lane];
  __syncwarp();
  return leave<kFours>(a, lane, row, paths, 0, before);
}

__device__ __forceinline__ void write_row(const Search& a, int lane, int64_t row, const uint8_t* paths, const float* scores) {
  for (int i = lane; i < a.last * a.depth; i += 32)
    a.found[row * a.last * a.depth + i] = paths[i / a.depth * 4 * a.words + i % a.depth];
  if (lane < a.last) a.reached[row * a.last + lane] = scores[lane];
}

template <bool kFours>
__global__ void __launch_bounds__(kMostRows / kOwn * 32, 2) search_labels_kernel(Search a) {
  const int rows = static_cast<int>(blockDim.x) / 32 * kOwn;
  const Tile tile(a, rows);
  for (int64_t start = static_cast<int64_t>(blockIdx.x) * rows; start < a.n; start += static_cast<int64_t>(gridDim.x) * rows) {
    const int8_t* pairs = a.pairs;
    int b = a.b;
    for (int step = 0; step < a.steps; ++step) {
      int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / 32;
      unknown(lane), unknown(warp);  // else what each part of a step makes of them stays in registers through all others
      const int group = warp / 2 * kTogether, half = warp % 2;  // whose products this warp sums
      const int labels = a.depth - a.steps + step;
      if (!step)
        for (int r = kOwn * warp; r < kOwn * warp + kOwn; ++r) {
          float most = 0;
          if (start + r < a.n)
            most = begin_row<kFours>(a, lane, start + r, reinterpret_cast<uint8_t*>(tile.paths + r * a.most * a.words), tile.scores + r * kMostPaths);
          if (lane == 0) tile.magnitudes[r] = most;
        }
      __syncwarp();
      int sum[kTogether][4] = {};
      int64_t first = 0;
      do {  // without components too: barriers are what products wait for
        const int count = static_cast<int>(a.quads - first < kChunk ? a.quads - first : kChunk);
        for (int r = kOwn * warp; r < kOwn * warp + kOwn; ++r)
          round_row<kFours>(a, lane, start + r, tile.magnitudes[r], first, count, tile.numbers + r * kEntries);
        __syncthreads();
        multiply(tile.numbers + group * kEntries, a.entries + 4 * ((step * a.quads + first) * kEntries + 128 * half + 4 * lane), count, sum);
        __syncthreads();
        first += kChunk;
      } while (first < a.quads);
#pragma unroll
      for (int r = 0; r < kTogether; ++r) {  // labels 8 l + 4 .. 8 l + 7 behind all of 8 l .. 8 l + 3: lanes then read 16 bytes side by side
        const uint4 x = make_uint4(static_cast<uint32_t>(sum[r][0]), static_cast<uint32_t>(sum[r][1]), static_cast<uint32_t>(sum[r][2]),
                                   static_cast<uint32_t>(sum[r][3]));
        *reinterpret_cast<uint4*>(tile.numbers + (group + r) * kEntries + lane % 2 * 128 + (16 * half + lane / 2) * 4) = x;
      }
      __syncthreads();
      unknown(lane), unknown(warp);
      const int keep = step + 1 < a.steps ? a.beam : a.last;
      for (int r = kOwn * warp; r < kOwn * warp + kOwn && start + r < a.n; ++r) {
        uint32_t* words = tile.paths + r * a.most * a.words;
        const uint8_t* paths = reinterpret_cast<const uint8_t*>(words);
        float* scores = tile.scores + r * kMostPaths;
        Least least{tile.kept + warp * (kMostPaths + kBuffer), kMostPaths, keep};
        choose(a, lane, step, labels, b, pairs, tile.numbers + r * kEntries, paths, scores, tile.magnitudes[r], least);
        const bool along = least.place(0) < kEntries;  // the first path goes on from the first
        grow(a, lane, labels, least, words, scores);
        const float most = leave<kFours>(a, lane, start + r, paths, along ? labels : 0, labels + 1);
        if (lane == 0) tile.magnitudes[r] = most;
        if (step + 1 == a.steps) write_row(a, lane, start + r, paths, scores);
        __syncwarp();
      }
      pairs += static_cast<int64_t>(labels) * kEntries * kEntries;
      b = keep;
    }
  }
}

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" int vp_cuda_search_labels(uint8_t* found, float* reached, float* rest, const float* y, const float* books, const uint8_t* entries,
                                     const float* factors, const float* squares, const int8_t* pairs, const uint8_t* paths,
                                     const float* scores, int64_t n, int64_t d, int32_t depth, int32_t steps, int32_t b, int32_t beam,
                                     int32_t last, void* stream) {
  if (n < 0 || d < 0 || d > kMostDimensions || depth < 1 || depth > kMostLabels || steps < 1 || steps > depth) return VP_CUDA_ARGUMENT;
  if (b < 1 || b > kMostPaths || beam < 1 || beam > kMostPaths || last < 1 || last > kMostPaths) return VP_CUDA_ARGUMENT;
  if (!n) return VP_CUDA_OK;
  if (!found || !reached || !factors || !squares || !scores || (depth > 1 && !pairs) || (steps < depth && !paths)) return VP_CUDA_ARGUMENT;
  if (d && (!rest || !y || !books || !entries)) return VP_CUDA_ARGUMENT;
  if (!aligned_to(entries, 16) || !aligned_to(squares, 16) || !aligned_to(pairs, 16)) return VP_CUDA_ARGUMENT;
  const int kept = steps > 1 && beam > b ? beam : b;
  const Search a{found, reached, rest, y, books, entries, factors, squares, pairs, paths, scores, n, d, divided_up(d, 4),
                 depth, steps, b, beam, last, static_cast<int>(divided_up(depth, 4)), last > kept ? last : kept};
  int rows = kMostRows;  // fewer where memory or rows would not be enough for all multiprocessors
  while (rows > kTogether && (n <= static_cast<int64_t>(rows / 2) * multiprocessors() ||
                           Tile::bytes(a, rows) > static_cast<std::size_t>(shared_of_block())))
    rows /= 2;
  const bool fours = d % 4 == 0 && aligned_to(rest, 16) && aligned_to(y, 16) && aligned_to(books, 16);
  const dim3 grid = blocks_over(n, rows), block(static_cast<unsigned>(rows / kOwn * 32));
  const Stream on = static_cast<Stream>(stream);
  const std::size_t shared = Tile::bytes(a, rows);
  return fours ? launch(search_labels_kernel<true>, grid, block, shared, on, a)
               : launch(search_labels_kernel<false>, grid, block, shared, on, a);
}
