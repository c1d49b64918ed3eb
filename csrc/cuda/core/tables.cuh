// Scans of look-up tables: what lut4 and lut8 share. Tables are rounded to bytes with a proven bound; what that cannot skip is summed exactly.
//
// A code is taken by whole words of the stored code, from the first to the last that hold payload; a `position` is a byte of these. Positions of
// other bytes have tables of zeros, so that neither heads nor prefixes are a case of their own.
//
// What rounding loses. Table j's entries t become u = floor((t - low_j) / step + 0.5), 0 .. levels, with one step for all of a query's tables: the
// widest table's range / levels. The three float operations err by at most 2^-24 of `levels` each, as does the inverse of the step, so
// |low_j + step u - t| <= 0.51 step. A reference's sum of m floats is within m 2^-24 magnitude of the true one, where magnitude is the sum
// of the tables' largest absolute entries (1.01 covers its higher powers up to 2^17 of them), and sums of two tables' entries within
// 2^-24 of theirs. The bound itself is one fused multiply-add and an end point rounded to float32: 2^-22 covers both twice. So
//
//   base + step S - lost <= reference's sum <= base + step S + lost      base = sum of low_j, S = sum of u
//
// The last steps of a score, each rounded, never fall where the sum rises and the scale is not negative, and never rise where it is negative; that
// holds for infinite factors too, if what is no number counts as the lowest, because sum and bound are finite. So the score of the
// upper bound, or of the lower one where the scale is negative, is at least the row's.
#pragma once

#include "core/rows.cuh"

namespace vecpress::cuda {

constexpr double kLargestSum = 1e37;     // beyond, sums might overflow on the way
constexpr double kSmallestStep = 1e-30;  // below, entries are near float32's smallest numbers, where roundings are not relative
constexpr int kMostPositions = 65536;    // their sums of bytes are exact floats
constexpr int kTableThreads = 512;

// A query's bounds of the reference's sum: step * S + high, step * S + low.
struct alignas(16) Screen {
  float step, high, low;
  int usable;
};

// Read whole, for else addresses of its parts are chosen, which take registers.
__device__ __forceinline__ float best_score(const Screen* at, int sum, const RowFactors& factors, float constant) {
  const float4 four = *reinterpret_cast<const float4*>(at);
  const Screen screen = {four.x, four.y, four.z, static_cast<int>(__float_as_uint(four.w))};
  if (!screen.usable) return __uint_as_float(0x7f800000u);
  return factors.finish(__fmaf_rn(screen.step, static_cast<float>(sum), factors.scale < 0 ? screen.low : screen.high), constant);
}

// Which bytes of a code are looked up.
struct Places {
  int word, words;  // the first word, how many
  int skip, bytes;  // positions before the payload; the payload
};

inline Places places_of(const VpCodes& c) {
  const int bytes = c.code_size - c.head, word = c.head / 4;
  return {word, bytes ? (c.code_size + 3) / 4 - word : 0, c.head - 4 * word, bytes};
}

// Where rounded tables come from: `tables` of kEntries each a query, kPerPosition of them a position, their entries, and how large what is added
// for an entry is at most.

struct Bytes {
  static constexpr int kEntries = 256, kPerPosition = 1, kLevels = 255;
  const float* data;  // [nq, m, 256]
  int m;
  __device__ __forceinline__ int tables() const { return m; }
  __device__ __forceinline__ float entry(int64_t q, int j, int c, float& size) const {
    const float x = __ldg(data + ((q * m + j) * 256 + c));
    size = fabsf(x);
    return x;
  }
  // What payload byte b adds, in order.
  static constexpr int kTerms = 1;
  __device__ __forceinline__ float term(int64_t q, int b, uint32_t byte, int) const { return __ldg(data + ((q * m + b) * 256 + byte)); }
};

struct Nibbles {
  static constexpr int kEntries = 16, kPerPosition = 2, kLevels = 127;
  const float* data;  // [nq, m, 16]
  int m;
  __device__ __forceinline__ int tables() const { return m; }
  __device__ __forceinline__ float entry(int64_t q, int j, int c, float& size) const {
    const float x = __ldg(data + ((q * m + j) * 16 + c));
    size = fabsf(x);
    return x;
  }
  static constexpr int kTerms = 2;
  __device__ __forceinline__ float term(int64_t q, int b, uint32_t byte, int which) const {  // an unused last nibble adds a zero
    const int j = 2 * b + which;
    return j < m ? __ldg(data + ((q * m + j) * 16 + (byte >> 4 * which & 15))) : 0.0f;
  }
};

// The two tables of a byte as one.
struct Pairs : Nibbles {
  static constexpr int kEntries = 256, kPerPosition = 1, kLevels = 255;
  __device__ __forceinline__ int tables() const { return (m + 1) / 2; }
  __device__ __forceinline__ float entry(int64_t q, int j, int c, float& size) const {
    const float a = term(q, j, static_cast<uint32_t>(c), 0), b = term(q, j, static_cast<uint32_t>(c), 1);
    size = __fadd_rn(fabsf(a), fabsf(b));
    return __fadd_rn(a, b);
  }
};

// The reference's sum: it begins with 0, so adding zeros changes nothing. A few look-ups at a time: more would cost all rows registers.
template <class Source>
__device__ __forceinline__ float exact_sum(const Source& source, const Places& at, int64_t q, const Row& row) {
  float sum = 0.0f;
#pragma unroll(2 / Source::kTerms)
  for (int w = 0; w < at.words; ++w) {
    const uint32_t word = row.word(at.word + w);
    float terms[4 * Source::kTerms];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int b = 4 * w + i - at.skip;
      const bool inside = b >= 0 && b < at.bytes;
#pragma unroll
      for (int t = 0; t < Source::kTerms; ++t) terms[Source::kTerms * i + t] = inside ? source.term(q, b, word >> 8 * i & 255, t) : 0.0f;
    }
#pragma unroll
    for (int i = 0; i < 4 * Source::kTerms; ++i) sum = __fadd_rn(sum, terms[i]);
  }
  return sum;
}

// ---- rounding

struct Rounded {
  Screen* screens;  // [nq]
  float* lows;      // [nq, tables]
  uint8_t* tables;  // [nq, positions, kPerPosition, kEntries]
};

template <class Source>
inline std::size_t rounded_bytes(int64_t nq, const Places& at, std::size_t* parts = nullptr) {
  const std::size_t tables = static_cast<std::size_t>(nq) * static_cast<std::size_t>(at.words) * 4 * Source::kPerPosition;
  const std::size_t screens = aligned(static_cast<std::size_t>(nq) * sizeof(Screen)), lows = aligned(tables * sizeof(float));
  if (parts) parts[0] = screens, parts[1] = lows;
  return screens + lows + aligned(tables * Source::kEntries);
}

template <class Source>
inline Rounded rounded_of(void* memory, int64_t nq, const Places& at) {
  std::size_t parts[2];
  rounded_bytes<Source>(nq, at, parts);
  uint8_t* from = static_cast<uint8_t*>(memory);
  return {reinterpret_cast<Screen*>(from), reinterpret_cast<float*>(from + parts[0]), from + parts[0] + parts[1]};
}

constexpr int kRoundThreads = kEmulated ? 64 : 1024;

// A block a query: a warp finds a table's range, then all threads round.
template <class Source>
__global__ void __launch_bounds__(kRoundThreads) round_kernel(Source source, Places at, Rounded out) {
  __shared__ float widest[32];
  __shared__ double bases[32], magnitudes[32];
  __shared__ int bad[32];
  __shared__ Screen screen;
  const int64_t q = blockIdx.x;
  const int lane = lane_id(), warp = static_cast<int>(threadIdx.x) / 32, warps = static_cast<int>(blockDim.x) / 32, m = source.tables();
  const int positions = 4 * at.words, all = positions * Source::kPerPosition;
  float* lows = out.lows + q * all;
  float wide = 0;
  double base = 0, magnitude = 0;
  int wrong = 0;
  for (int j = warp; j < m; j += warps) {
    float low = __uint_as_float(0x7f800000u), high = -low, large = 0;
#pragma unroll
    for (int i = 0; i < (Source::kEntries + 31) / 32; ++i) {
      float size;
      const float x = source.entry(q, j, (32 * i + lane) % Source::kEntries, size);
      if (!(size <= 3e38f)) wrong = 1;  // no number, or infinite
      low = fminf(low, x);
      high = fmaxf(high, x);
      large = fmaxf(large, size);
    }
#pragma unroll
    for (int by = 16; by; by /= 2) {
      low = fminf(low, __shfl_xor_sync(kAllLanes, low, by));
      high = fmaxf(high, __shfl_xor_sync(kAllLanes, high, by));
      large = fmaxf(large, __shfl_xor_sync(kAllLanes, large, by));
    }
    if (lane == 0) lows[j] = low;
    wide = fmaxf(wide, __fsub_rn(high, low));
    base += low;
    magnitude += large;
  }
  wrong = __any_sync(kAllLanes, wrong);
  if (lane == 0) {
    widest[warp] = wide;
    bases[warp] = base;
    magnitudes[warp] = magnitude;
    bad[warp] = wrong;
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int i = 1; i < warps; ++i) {
      wide = fmaxf(wide, widest[i]);
      base += bases[i];
      magnitude += magnitudes[i];
      wrong |= bad[i];
    }
    // a little more than the widest range / levels, which was rounded twice
    const float step = wide > 0 ? static_cast<float>(wide * (1.0 + 0x1p-22) / Source::kLevels) : 1.0f;
    const double rounded = m, terms = static_cast<double>(at.bytes) * Source::kTerms, span = step * static_cast<double>(Source::kLevels) * rounded;
    const double lost = wide > 0 ? 0.51 * step * rounded : 0.0;
    const double more = lost + 0x1p-24 * 1.01 * (terms + 8) * magnitude + 0x1p-22 * (magnitude + span + lost);
    const bool usable = !wrong && magnitude + span + more <= kLargestSum && step >= kSmallestStep && positions <= kMostPositions;
    screen = {step, usable ? static_cast<float>(base + more) : 0.0f, usable ? static_cast<float>(base - more) : 0.0f, usable ? 1 : 0};
    out.screens[q] = screen;
  }
  __syncthreads();
  const float inverse = 1.0f / screen.step;
  const int words = Source::kEntries / 4, skip = at.skip * Source::kPerPosition;
  uint32_t* tables = reinterpret_cast<uint32_t*>(out.tables) + q * all * words;
  for (int i = static_cast<int>(threadIdx.x); i < all * words; i += static_cast<int>(blockDim.x)) {
    const int j = i / words - skip;
    uint32_t four = 0;
    if (screen.usable && j >= 0 && j < m) {
      const float low = lows[j];
#pragma unroll
      for (int k = 0; k < 4; ++k) {
        float size;
        const float x = source.entry(q, j, i % words * 4 + k, size);
        const int level = static_cast<int>(__fadd_rn(__fmul_rn(__fsub_rn(x, low), inverse), 0.5f));
        four |= static_cast<uint32_t>(level < Source::kLevels ? level : Source::kLevels) << 8 * k;
      }
    }
    tables[i] = four;
  }
}

template <class Source>
inline int round_tables(const Scan& s, const Source& source, const Places& at) {
  if (s.nq > 0x7fffffff) return VP_CUDA_ARGUMENT;
  return launch(round_kernel<Source>, dim3(static_cast<unsigned>(s.nq)), dim3(kRoundThreads), 0, s.stream, source, at,
                rounded_of<Source>(s.operand, s.nq, at));
}

// ---- a thread a row

// Where the k-th byte of a word is looked up, in a table that begins at a multiple of 256: one instruction for both.
__device__ __forceinline__ uint32_t place_in(uint32_t tables, uint32_t word, int k) {
  return __byte_perm(word, tables, 0x7650u + static_cast<unsigned>(k));
}

// Tables of 256 bytes in shared memory, or, where these are too many, in global memory: then of one query.
// Four queries: a word holds their four bytes, and a look-up serves all; sums are kept in pairs of 16 bits.
template <class Source, int kQueries, bool kInShared>
struct TableRows {
  static_assert(kQueries == 1 || (kQueries == 4 && kInShared), "one query, or four");
  static constexpr bool kExact = false;
  using Sum = int;
  static constexpr int kHead = 64;  // bytes of shared memory for four screens
  Source source;
  Places at;
  Rounded rounded;

  static std::size_t shared_bytes(const Places& at) {
    return kHead + (kInShared ? static_cast<std::size_t>(at.words) * 4 * 256 * kQueries : 0);
  }

  __device__ void stage(const Scan&, unsigned char* shared, int64_t q0, int count) const {
    if (static_cast<int>(threadIdx.x) < count) reinterpret_cast<Screen*>(shared)[threadIdx.x] = rounded.screens[q0 + threadIdx.x];
    const int words = at.words * 256;  // of a query's tables
    const uint32_t* from = reinterpret_cast<const uint32_t*>(rounded.tables) + q0 * words;
    uint4* to = reinterpret_cast<uint4*>(shared + kHead);
    if constexpr (kInShared && kQueries == 1) {
      for (int i = static_cast<int>(threadIdx.x); i < words / 4; i += static_cast<int>(blockDim.x)) to[i] = reinterpret_cast<const uint4*>(from)[i];
    } else if constexpr (kInShared) {
      for (int i = static_cast<int>(threadIdx.x); i < words; i += static_cast<int>(blockDim.x)) {
        uint32_t x[4];
#pragma unroll
        for (int k = 0; k < 4; ++k) x[k] = k < count ? from[k * words + i] : 0;
        const uint32_t a = __byte_perm(x[0], x[1], 0x5140), b = __byte_perm(x[2], x[3], 0x5140);  // bytes 0 and 1 of two queries, then 2 and 3
        const uint32_t c = __byte_perm(x[0], x[1], 0x7362), d = __byte_perm(x[2], x[3], 0x7362);
        to[i] = make_uint4(__byte_perm(a, b, 0x5410), __byte_perm(a, b, 0x7632), __byte_perm(c, d, 0x5410), __byte_perm(c, d, 0x7632));
      }
    }
  }

  // Adds what the 4 kWords bytes of `words` look up in the tables from `tables` on.
  template <int kWords, class Add>
  __device__ __forceinline__ void add(const uint32_t* words, uint32_t tables, Add add) const {
#pragma unroll
    for (int i = 0; i < 4 * kWords; ++i) add(place_in(tables, words[i / 4], i % 4) + 256u * static_cast<unsigned>(i));
  }

  // The next piece is on its way while one is looked up. Of the first and the last, some words may not be looked up.
  template <class Add>
  __device__ __forceinline__ void walk(const Row& row, Add each) const {
    const int last = at.word + at.words, whole = (at.word + 3) / 4, end = last / 4;
    uint4 next = make_uint4(0, 0, 0, 0);
    if (whole < end) next = row.chunk(whole);
#pragma unroll 1
    for (int side = at.word % 4 ? 0 : 1; side < (last % 4 && end >= whole ? 2 : 1); ++side) {
      const int c = side ? end : at.word / 4;
      uint4 x = row.four(c);
#pragma unroll 1
      for (int w = 4 * c - at.word; w < 4 * c - at.word + 4; ++w) {
        if (w >= 0 && w < at.words) add<1>(&x.x, static_cast<uint32_t>(w) * 1024u, each);
        x.x = x.y, x.y = x.z, x.z = x.w;
      }
    }
    uint32_t tables = static_cast<uint32_t>(4 * whole - at.word) * 1024u;
#pragma unroll 1
    for (int c = whole; c < end; ++c, tables += 4096u) {
      const uint32_t words[4] = {next.x, next.y, next.z, next.w};
      if (c + 1 < end) next = row.chunk(c + 1);
      add<4>(words, tables, each);
    }
  }

  template <int Q>
  __device__ __forceinline__ void sums(const Scan&, const unsigned char* shared, const Row& row, int (&out)[Q]) const {
    if constexpr (Q == 1) {
      const uint8_t* tables = kInShared ? shared + kHead : rounded.tables + static_cast<int64_t>(blockIdx.y) * at.words * 1024;
      int sum = 0;
      walk(row, [&](uint32_t i) { sum += tables[i]; });
      out[0] = sum;
    } else {
      // even + 2^16 third, and second + 2^8 third + 2^16 fourth: at most 257 bytes of each, so none runs into the next but as can be undone
      const uint32_t* tables = reinterpret_cast<const uint32_t*>(shared + kHead);
      uint32_t even = 0, odd = 0;
      walk(row, [&](uint32_t i) {
        const uint32_t four = tables[i];
        even += four & 0x00ff00ffu;
        odd += four >> 8;
      });
      odd -= (even >> 16) << 8;
      out[0] = static_cast<int>(even & 0xffff);
      out[1] = static_cast<int>(odd & 0xffff);
      out[2] = static_cast<int>(even >> 16);
      out[3] = static_cast<int>(odd >> 16);
    }
  }

  __device__ __forceinline__ float best(const unsigned char* shared, int i, int sum, const RowFactors& factors, float constant) const {
    return best_score(reinterpret_cast<const Screen*>(shared) + i, sum, factors, constant);
  }
  __device__ __forceinline__ float exact(const Scan&, int64_t q, const Row& row) const { return exact_sum(source, at, q, row); }
};

constexpr int kMostAdded = 257;  // bytes that a sum of 16 bits holds

template <class Source>
inline int scan_rows(const Scan& s, const Source& source, const Places& at, int64_t first, int64_t last) {
  const Rounded rounded = rounded_of<Source>(s.operand, s.nq, at);
  using Four = TableRows<Source, 4, true>;
  using One = TableRows<Source, 1, true>;
  using Large = TableRows<Source, 1, false>;
  const std::size_t most = static_cast<std::size_t>(shared_of_block()), one = One::shared_bytes(at), four = Four::shared_bytes(at);
  if (s.nq > 1 && four <= most && 4 * at.words <= kMostAdded)
    return launch_rows<4, kTableThreads, 2>(s, Four{source, at, rounded}, four, first, last);
  if (one <= most) return launch_rows<1, kTableThreads, 2>(s, One{source, at, rounded}, one, first, last);
  return launch_rows<1, kTableThreads, 2>(s, Large{source, at, rounded}, Large::shared_bytes(at), first, last);
}

}  // namespace vecpress::cuda
