// AVX-512 vectors for the shared kernels: included inside a target region and an anonymous namespace.
constexpr int kRegisters = 32;

struct Bytes {
  static constexpr int kLanes = 64;
  __m512i v;
  static Bytes load(const uint8_t* p) { return {_mm512_loadu_si512(p)}; }
  void store(uint8_t* p) const { _mm512_storeu_si512(p, v); }
  static Bytes set1(uint8_t x) { return {_mm512_set1_epi8(static_cast<char>(x))}; }
  // Four bytes, in every four.
  static Bytes set_four(const uint8_t* p) {
    int four;
    __builtin_memcpy(&four, p, 4);
    return {_mm512_set1_epi32(four)};
  }
  static Bytes zero() { return {_mm512_setzero_si512()}; }
  // A table of 16 bytes, ready for lookup().
  static Bytes table16(const uint8_t* p) {
    return {_mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  Bytes lookup(Bytes nibbles) const { return {_mm512_shuffle_epi8(v, nibbles.v)}; }
  Bytes low_nibbles() const { return {_mm512_and_si512(v, _mm512_set1_epi8(15))}; }
  Bytes high_nibbles() const { return {_mm512_and_si512(_mm512_srli_epi16(v, 4), _mm512_set1_epi8(15))}; }
  Bytes popcount() const { return {_mm512_popcnt_epi8(v)}; }
  Bytes operator^(Bytes o) const { return {_mm512_xor_si512(v, o.v)}; }
  Bytes operator+(Bytes o) const { return {_mm512_add_epi8(v, o.v)}; }
  Bytes operator&(Bytes o) const { return {_mm512_and_si512(v, o.v)}; }
  Bytes operator|(Bytes o) const { return {_mm512_or_si512(v, o.v)}; }
  // W bits of every byte, from bit kShift on; and every byte W bits up, where that loses nothing.
  template <int kShift, int W>
  Bytes field() const {
    return {_mm512_and_si512(_mm512_srli_epi16(v, kShift), _mm512_set1_epi8(static_cast<char>((1 << W) - 1)))};
  }
  template <int W>
  Bytes up() const { return {_mm512_slli_epi16(v, W)}; }
};

// (a + b + 1) / 2, rounded down.
inline Bytes average(Bytes a, Bytes b) { return {_mm512_avg_epu8(a.v, b.v)}; }

// Bit r: sums[r] >= floor, for Bytes::kLanes sums.
inline uint64_t lanes_at_least(const uint16_t* sums, uint16_t floor) {
  const __m512i bar = _mm512_set1_epi16(static_cast<short>(floor));
  const uint64_t low = _mm512_cmpge_epu16_mask(_mm512_loadu_si512(sums), bar);
  const uint64_t high = _mm512_cmpge_epu16_mask(_mm512_loadu_si512(sums + 32), bar);
  return low | high << 32;
}

// Four tables fill a register; vpermb takes an entry of any of them, so the table's number stands above the nibble.
struct FourTables {
  __m512i v;
  explicit FourTables(const uint8_t* p) : v(_mm512_loadu_si512(p)) {}
  template <int T>
  static Bytes place(Bytes codes) {
    const __m512i nibble = T % 2 ? _mm512_srli_epi16(codes.v, 4) : codes.v;
    return {_mm512_ternarylogic_epi32(nibble, _mm512_set1_epi8(15), _mm512_set1_epi8(16 * T), 0xEA)};  // (nibble & 15) | 16 T
  }
  template <int T>
  Bytes lookup(Bytes place) const { return {_mm512_permutexvar_epi8(place.v, v)}; }
};

// Sums of byte vectors in 16 bits, modulo 2^16. Two registers: one adds the 16-bit pairs as they are (even byte + 256 * odd byte),
// one adds the odd bytes; the even sums are their difference.
struct ByteSums {
  __m512i pairs, odd;
  ByteSums() : pairs(_mm512_setzero_si512()), odd(_mm512_setzero_si512()) {}  // written out: an implicit one is no part of the region
  void add(Bytes b) {
    pairs = _mm512_add_epi16(pairs, b.v);
    odd = _mm512_add_epi16(odd, _mm512_mulhi_epu16(b.v, _mm512_set1_epi16(256)));  // a shift, but not in the way of look-ups
  }
  void add(const ByteSums& o) {
    pairs = _mm512_add_epi16(pairs, o.pairs);
    odd = _mm512_add_epi16(odd, o.odd);
  }
  // Bit r: sum r >= floor. Stores the sums if there is one.
  uint64_t at_least(uint16_t floor, uint16_t* out) const {
    const __m512i even = _mm512_sub_epi16(pairs, _mm512_slli_epi16(odd, 8)), bar = _mm512_set1_epi16(static_cast<short>(floor));
    if (!(_mm512_cmpge_epu16_mask(even, bar) | _mm512_cmpge_epu16_mask(odd, bar))) return 0;
    store(out);
    return lanes_at_least(out, floor);
  }
  void store(uint16_t* out) const {  // uint16[64], in row order
    const __m512i even = _mm512_sub_epi16(pairs, _mm512_slli_epi16(odd, 8));
    const __m512i low = _mm512_unpacklo_epi16(even, odd), high = _mm512_unpackhi_epi16(even, odd);
    const __m512i first = _mm512_setr_epi64(0, 1, 8, 9, 2, 3, 10, 11), second = _mm512_setr_epi64(4, 5, 12, 13, 6, 7, 14, 15);
    _mm512_storeu_si512(out, _mm512_permutex2var_epi64(low, first, high));
    _mm512_storeu_si512(out + 32, _mm512_permutex2var_epi64(low, second, high));
  }
};

// Four bytes of each of 4 * Quads::kLanes rows from four vectors of one byte each: rows 16 l + 4 k to 16 l + 4 k + 3 are lane l of x[k].
inline void interleave(Bytes (&x)[4]) {
  const __m512i ab_low = _mm512_unpacklo_epi8(x[0].v, x[1].v), ab_high = _mm512_unpackhi_epi8(x[0].v, x[1].v);
  const __m512i cd_low = _mm512_unpacklo_epi8(x[2].v, x[3].v), cd_high = _mm512_unpackhi_epi8(x[2].v, x[3].v);
  x[0].v = _mm512_unpacklo_epi16(ab_low, cd_low);
  x[1].v = _mm512_unpackhi_epi16(ab_low, cd_low);
  x[2].v = _mm512_unpacklo_epi16(ab_high, cd_high);
  x[3].v = _mm512_unpackhi_epi16(ab_high, cd_high);
}

// Four small whole numbers, for every four bytes.
struct Four {
  __m512i v;
  explicit Four(const int8_t* p) {
    int four;
    __builtin_memcpy(&four, p, 4);
    v = _mm512_set1_epi32(four);
  }
  static Four load(const int8_t* p) { return Four(_mm512_loadu_si512(p)); }  // others in each lane
  static Four of(Bytes x) { return Four(x.v); }
  Bytes operator&(Bytes x) const { return {_mm512_and_si512(v, x.v)}; }

 private:
  explicit Four(__m512i x) : v(x) {}
};

// 32-bit sums of products of four bytes each.
struct Quads {
  static constexpr int kLanes = 16;
  __m512i v;
  static Quads zero() { return {_mm512_setzero_si512()}; }
  static Quads set1(uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
  static Quads load(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
  void store(uint32_t* p) const { _mm512_storeu_si512(p, v); }
  void add(Bytes x, Four four) {  // _mm512_dpbusd_epi32 by name: gcc copies the sum before each, and then runs out of registers
    __asm__("vpdpbusd %2, %1, %0" : "+v"(v) : "v"(x.v), "v"(four.v));
  }
  void add_small_squares(Bytes x) { add(x, Four::of(x)); }  // of numbers below 128
  void add_squares(Bytes x) {
    const __m512i even = _mm512_and_si512(x.v, _mm512_set1_epi16(255)), odd = _mm512_srli_epi16(x.v, 8);
    v = _mm512_dpwssd_epi32(_mm512_dpwssd_epi32(v, even, even), odd, odd);
  }
};

// How bytes are to be multiplied: as they are here, less kOrigin.
constexpr int kOrigin = 0;
inline Bytes multiplicand(Bytes x) { return x; }

// The sums of rows that were interleaved, in the order of the rows.
inline void store_in_order(const Quads (&x)[4], uint32_t* out) {
  const __m512i a = _mm512_shuffle_i32x4(x[0].v, x[1].v, 0x44), b = _mm512_shuffle_i32x4(x[2].v, x[3].v, 0x44);
  const __m512i c = _mm512_shuffle_i32x4(x[0].v, x[1].v, 0xEE), d = _mm512_shuffle_i32x4(x[2].v, x[3].v, 0xEE);
  _mm512_storeu_si512(out, _mm512_shuffle_i32x4(a, b, 0x88));
  _mm512_storeu_si512(out + 16, _mm512_shuffle_i32x4(a, b, 0xDD));
  _mm512_storeu_si512(out + 32, _mm512_shuffle_i32x4(c, d, 0x88));
  _mm512_storeu_si512(out + 48, _mm512_shuffle_i32x4(c, d, 0xDD));
}

// Whether a sum reaches the floor.
inline bool any_at_least(const Quads (&x)[4], uint32_t floor) {
  const __m512i most = _mm512_max_epu32(_mm512_max_epu32(x[0].v, x[1].v), _mm512_max_epu32(x[2].v, x[3].v));
  return _mm512_cmpge_epu32_mask(most, _mm512_set1_epi32(static_cast<int>(floor))) != 0;
}

// Bit r: sums[r] >= floor, for 64 sums.
inline uint64_t at_least(const uint32_t* sums, uint32_t floor) {
  const __m512i bar = _mm512_set1_epi32(static_cast<int>(floor));
  uint64_t mask = 0;
  for (int i = 0; i < 4; ++i)
    mask |= static_cast<uint64_t>(_mm512_cmpge_epu32_mask(_mm512_loadu_si512(sums + 16 * i), bar)) << (16 * i);
  return mask;
}

// Bit r: !(x[r] < bar), for 64 floats.
inline uint64_t not_below(const float* x, float bar) {
  const __m512 wanted = _mm512_set1_ps(bar);
  __mmask16 pass[4];
  for (int i = 0; i < 4; ++i) pass[i] = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + 16 * i), wanted, _CMP_NLT_UQ);
  return _mm512_kunpackd(_mm512_kunpackw(pass[3], pass[2]), _mm512_kunpackw(pass[1], pass[0]));
}

struct Floats {
  static constexpr int kLanes = 16;
  __m512 v;
  static Floats load(const float* p) { return {_mm512_loadu_ps(p)}; }
  static Floats load_half(const uint16_t* p) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static Floats set1(float x) { return {_mm512_set1_ps(x)}; }
  static Floats zero() { return {_mm512_setzero_ps()}; }
  Floats operator-(Floats o) const { return {_mm512_sub_ps(v, o.v)}; }
  Floats operator+(Floats o) const { return {_mm512_add_ps(v, o.v)}; }
  Floats operator*(Floats o) const { return {_mm512_mul_ps(v, o.v)}; }
  Floats operator/(Floats o) const { return {_mm512_div_ps(v, o.v)}; }
  // The lanes' Hadamard transform: for h = 1, 2, 4, ... the lanes a and b, h apart, become a + b and a - b.
  Floats hadamard() const {
    __m512 x = v, y = _mm512_permute_ps(x, 0xB1);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xAAAA, y, x);
    y = _mm512_permute_ps(x, 0x4E);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xCCCC, y, x);
    y = _mm512_shuffle_f32x4(x, x, 0xB1);
    x = _mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xF0F0, y, x);
    y = _mm512_shuffle_f32x4(x, x, 0x4E);
    return {_mm512_mask_sub_ps(_mm512_add_ps(x, y), 0xFF00, y, x)};
  }
  void store(float* p) const { _mm512_storeu_ps(p, v); }
};
inline Floats fma(Floats a, Floats b, Floats c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }

// Levels of 32 dimensions from their numbers, of which t, t + 8, t + 16 and t + 24 lie together: by_number[number + kOrigin]. Where there are
// 16 of them or fewer, of numbers below 128, they are also few[label[number]]; nullptr where not.
inline void levels_of_unit(const float* by_number, const float* few, const uint8_t* label, const uint8_t* numbers, float* out) {
  const __m256i loaded = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(numbers));
  const __m512i halves = _mm512_setr_epi32(0, 0, 0, 0, 0, 0, 0, 0, 8, 8, 8, 8, 8, 8, 8, 8), byte = _mm512_set1_epi32(255);
  __m512i all = _mm512_broadcast_i64x4(loaded);
  if (few) all = _mm512_permutex2var_epi8(_mm512_loadu_si512(label), all, _mm512_loadu_si512(label + 64));
  const __m512 table = few ? _mm512_loadu_ps(few) : _mm512_setzero_ps();
  for (int half = 0; half < 2; ++half) {
    const __m512i which = _mm512_and_si512(_mm512_srlv_epi32(all, _mm512_add_epi32(halves, _mm512_set1_epi32(16 * half))), byte);
    const __m512 x = few ? _mm512_permutexvar_ps(which, table) : _mm512_i32gather_ps(which, by_number, 4);
    _mm512_storeu_ps(out + 16 * half, x);
  }
}

// 32-bit whole numbers, one for each lane of Floats.
struct Ints {
  __m512i v;
  static Ints load(const uint32_t* p) { return {_mm512_loadu_si512(p)}; }
  static Ints set1(uint32_t x) { return {_mm512_set1_epi32(static_cast<int>(x))}; }
  static Ints zero() { return {_mm512_setzero_si512()}; }
  Ints operator|(Ints o) const { return {_mm512_or_si512(v, o.v)}; }
  void store(uint32_t* p) const { _mm512_storeu_si512(p, v); }
};

inline Floats negative(Floats x) { return {_mm512_xor_ps(x.v, _mm512_set1_ps(-0.0f))}; }

inline Floats smaller(Floats a, Floats b) { return {_mm512_min_ps(a.v, b.v)}; }
inline Floats larger(Floats a, Floats b) { return {_mm512_max_ps(a.v, b.v)}; }
inline float smallest_of(Floats x) { return _mm512_reduce_min_ps(x.v); }
inline float largest_of(Floats x) { return _mm512_reduce_max_ps(x.v); }
// Bit i: x[i] <= bar, for the lanes of x.
inline uint32_t lanes_at_most(Floats x, float bar) { return _mm512_cmp_ps_mask(x.v, _mm512_set1_ps(bar), _CMP_LE_OQ); }

// x, but `low` where it is less or no number, `high` where it is more.
inline Floats within(Floats x, Floats low, Floats high) { return {_mm512_min_ps(_mm512_max_ps(x.v, low.v), high.v)}; }

// The whole numbers nearest to 64 floats, ties to even, each within 0 .. 255.
inline void store_rounded(const Floats (&x)[4], uint8_t* out) {
  const __m512i a = _mm512_packus_epi32(_mm512_cvtps_epi32(x[0].v), _mm512_cvtps_epi32(x[1].v));
  const __m512i b = _mm512_packus_epi32(_mm512_cvtps_epi32(x[2].v), _mm512_cvtps_epi32(x[3].v));
  const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);  // undoes packing in 128-bit parts
  _mm512_storeu_si512(out, _mm512_permutexvar_epi32(order, _mm512_packus_epi16(a, b)));
}

// The largest magnitudes of floats, lane by lane, as the bits without the sign: those of a NaN are more than infinity's.
struct Magnitudes {
  __m512i most;
  static Magnitudes zero() { return {_mm512_setzero_si512()}; }
  void add(Floats x) { most = _mm512_max_epi32(most, _mm512_and_si512(_mm512_castps_si512(x.v), _mm512_set1_epi32(INT32_MAX))); }
  bool beyond(int32_t limit) const { return _mm512_cmpgt_epi32_mask(most, _mm512_set1_epi32(limit)) != 0; }
};

// Where x is less than best, best and its label become x and `label`; equal numbers and NaN change nothing.
inline void keep_smaller(Floats x, Ints label, Floats& best, Ints& best_label) {
  const __mmask16 less = _mm512_cmp_ps_mask(x.v, best.v, _CMP_LT_OQ);
  best.v = _mm512_mask_mov_ps(best.v, less, x.v);
  best_label.v = _mm512_mask_mov_epi32(best_label.v, less, label.v);
}

// Of which lanes a is less than b, a bit for each, kLaneBits apart. Volatile, or gcc puts several together before it stores them.
using Lanes = uint16_t;
constexpr int kLaneBits = 1;
inline void store_less(Floats a, Floats b, Lanes* out) {
  *static_cast<volatile Lanes*>(out) = static_cast<Lanes>(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ));
}

// The two largest, and the label of the largest. A NaN makes them equal.
inline void keep_two_larger(Floats x, Ints label, Floats& best, Floats& second, Ints& best_label) {
  const __mmask16 more = _mm512_cmp_ps_mask(x.v, best.v, _CMP_GT_OQ);
  second.v = _mm512_max_ps(second.v, _mm512_min_ps(x.v, best.v));  // both give their second argument where one is not a number
  best.v = _mm512_mask_mov_ps(best.v, more, x.v);
  best_label.v = _mm512_mask_mov_epi32(best_label.v, more, label.v);
}

// One bit for each of 64 floats, x[i] > y[i]: bit 7 - i % 8 of byte i / 8, as codes have them.
inline uint64_t greater(const float* x, const float* y) {
  __mmask16 above[4];
  for (int i = 0; i < 4; ++i)
    above[i] = _mm512_cmp_ps_mask(_mm512_loadu_ps(x + 16 * i), _mm512_loadu_ps(y + 16 * i), _CMP_GT_OQ);
  const __mmask64 all = _mm512_kunpackd(_mm512_kunpackw(above[3], above[2]), _mm512_kunpackw(above[1], above[0]));
  const __m512i backwards = _mm512_broadcast_i32x4(_mm_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8));
  return _mm512_movepi8_mask(_mm512_shuffle_epi8(_mm512_movm_epi8(all), backwards));
}

// Sums of squares in float64, eight of them: element t of a row goes to sum t % 8 (vecpress/ops/norms.py).
struct Squares {
  __m512d sums;
  static Squares zero() { return {_mm512_setzero_pd()}; }
  void add(const float* p) {  // the next eight elements; their squares are exact, so the fused operation rounds as the two do
    const __m512d x = _mm512_cvtps_pd(_mm256_loadu_ps(p));
    sums = _mm512_fmadd_pd(x, x, sums);
  }
  void store(double* out) const { _mm512_storeu_pd(out, sums); }
};

// out[j][i] = in[i][j] for a square of 4 by 4 floats, of 16 by 16 bytes; strides in elements.
inline void transpose4(const float* in, int64_t in_stride, float* out, int64_t out_stride) {
  __m128 a = _mm_loadu_ps(in), b = _mm_loadu_ps(in + in_stride);
  __m128 c = _mm_loadu_ps(in + 2 * in_stride), d = _mm_loadu_ps(in + 3 * in_stride);
  const __m128 ac_low = _mm_unpacklo_ps(a, c), ac_high = _mm_unpackhi_ps(a, c);
  const __m128 bd_low = _mm_unpacklo_ps(b, d), bd_high = _mm_unpackhi_ps(b, d);
  _mm_storeu_ps(out, _mm_unpacklo_ps(ac_low, bd_low));
  _mm_storeu_ps(out + out_stride, _mm_unpackhi_ps(ac_low, bd_low));
  _mm_storeu_ps(out + 2 * out_stride, _mm_unpacklo_ps(ac_high, bd_high));
  _mm_storeu_ps(out + 3 * out_stride, _mm_unpackhi_ps(ac_high, bd_high));
}
inline void transpose16(const uint8_t* in, int64_t in_stride, uint8_t* out, int64_t out_stride) {
  __m128i x[16], y[16];
  for (int i = 0; i < 16; ++i) x[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(in + i * in_stride));
  for (int step = 0; step < 4; ++step) {  // each interleaves row i with row i + 8; four of them transpose
    for (int i = 0; i < 8; ++i) {
      y[2 * i] = _mm_unpacklo_epi8(x[i], x[i + 8]);
      y[2 * i + 1] = _mm_unpackhi_epi8(x[i], x[i + 8]);
    }
    for (int i = 0; i < 16; ++i) x[i] = y[i];
  }
  for (int i = 0; i < 16; ++i) _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i * out_stride), x[i]);
}
