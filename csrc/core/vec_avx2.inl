// AVX2 vectors for the shared kernels: included inside a target region and an anonymous namespace. Comments: vec_avx512.inl.
constexpr int kRegisters = 16;

struct Bytes {
  static constexpr int kLanes = 32;
  __m256i v;
  static Bytes load(const uint8_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  void store(uint8_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  static Bytes set1(uint8_t x) { return {_mm256_set1_epi8(static_cast<char>(x))}; }
  static Bytes set_four(const uint8_t* p) {
    int four;
    __builtin_memcpy(&four, p, 4);
    return {_mm256_set1_epi32(four)};
  }
  static Bytes zero() { return {_mm256_setzero_si256()}; }
  static Bytes table16(const uint8_t* p) {
    return {_mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  Bytes lookup(Bytes nibbles) const { return {_mm256_shuffle_epi8(v, nibbles.v)}; }
  Bytes low_nibbles() const { return {_mm256_and_si256(v, _mm256_set1_epi8(15))}; }
  Bytes high_nibbles() const { return {_mm256_and_si256(_mm256_srli_epi16(v, 4), _mm256_set1_epi8(15))}; }
  Bytes popcount() const {
    const Bytes counts{_mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4)};
    return counts.lookup(low_nibbles()) + counts.lookup(high_nibbles());
  }
  Bytes operator^(Bytes o) const { return {_mm256_xor_si256(v, o.v)}; }
  Bytes operator+(Bytes o) const { return {_mm256_add_epi8(v, o.v)}; }
  Bytes operator&(Bytes o) const { return {_mm256_and_si256(v, o.v)}; }
  Bytes operator|(Bytes o) const { return {_mm256_or_si256(v, o.v)}; }
  template <int kShift, int W>
  Bytes field() const {
    return {_mm256_and_si256(_mm256_srli_epi16(v, kShift), _mm256_set1_epi8(static_cast<char>((1 << W) - 1)))};
  }
  template <int W>
  Bytes up() const { return {_mm256_slli_epi16(v, W)}; }
};

inline Bytes average(Bytes a, Bytes b) { return {_mm256_avg_epu8(a.v, b.v)}; }

inline uint64_t lanes_at_least(const uint16_t* sums, uint16_t floor) {
  const __m256i bar = _mm256_set1_epi16(static_cast<short>(floor));
  const __m256i a = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums));
  const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums + 16));
  const __m256i pass_a = _mm256_cmpeq_epi16(_mm256_max_epu16(a, bar), a), pass_b = _mm256_cmpeq_epi16(_mm256_max_epu16(b, bar), b);
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_permute4x64_epi64(_mm256_packs_epi16(pass_a, pass_b), 0xD8)));
}

// Four tables are four registers, looked up by vpshufb.
struct FourTables {
  const uint8_t* p;
  explicit FourTables(const uint8_t* tables) : p(tables) {}
  template <int T>
  static Bytes place(Bytes codes) { return T % 2 ? codes.high_nibbles() : codes.low_nibbles(); }
  template <int T>
  Bytes lookup(Bytes place) const { return Bytes::table16(p + 16 * T).lookup(place); }
};

struct ByteSums {
  __m256i pairs, odd;
  ByteSums() : pairs(_mm256_setzero_si256()), odd(_mm256_setzero_si256()) {}
  void add(Bytes b) {
    pairs = _mm256_add_epi16(pairs, b.v);
    odd = _mm256_add_epi16(odd, _mm256_mulhi_epu16(b.v, _mm256_set1_epi16(256)));  // a shift, but not in the way of look-ups
  }
  void add(const ByteSums& o) {
    pairs = _mm256_add_epi16(pairs, o.pairs);
    odd = _mm256_add_epi16(odd, o.odd);
  }
  uint64_t at_least(uint16_t floor, uint16_t* out) const {
    const __m256i even = _mm256_sub_epi16(pairs, _mm256_slli_epi16(odd, 8)), bar = _mm256_set1_epi16(static_cast<short>(floor));
    const __m256i most = _mm256_max_epu16(even, odd);
    if (!_mm256_movemask_epi8(_mm256_cmpeq_epi16(_mm256_max_epu16(most, bar), most))) return 0;
    store(out);
    return lanes_at_least(out, floor);
  }
  void store(uint16_t* out) const {
    const __m256i even = _mm256_sub_epi16(pairs, _mm256_slli_epi16(odd, 8));
    const __m256i low = _mm256_unpacklo_epi16(even, odd), high = _mm256_unpackhi_epi16(even, odd);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute2x128_si256(low, high, 0x20));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 16), _mm256_permute2x128_si256(low, high, 0x31));
  }
};

inline void interleave(Bytes (&x)[4]) {
  const __m256i ab_low = _mm256_unpacklo_epi8(x[0].v, x[1].v), ab_high = _mm256_unpackhi_epi8(x[0].v, x[1].v);
  const __m256i cd_low = _mm256_unpacklo_epi8(x[2].v, x[3].v), cd_high = _mm256_unpackhi_epi8(x[2].v, x[3].v);
  x[0].v = _mm256_unpacklo_epi16(ab_low, cd_low);
  x[1].v = _mm256_unpackhi_epi16(ab_low, cd_low);
  x[2].v = _mm256_unpacklo_epi16(ab_high, cd_high);
  x[3].v = _mm256_unpackhi_epi16(ab_high, cd_high);
}

struct Four {
  __m256i v;
  explicit Four(const int8_t* p) {
    int four;
    __builtin_memcpy(&four, p, 4);
    v = _mm256_set1_epi32(four);
  }
  static Four load(const int8_t* p) { return of(Bytes::load(reinterpret_cast<const uint8_t*>(p))); }
  static Four of(Bytes x) { return Four(x.v); }
  Bytes operator&(Bytes x) const { return {_mm256_and_si256(v, x.v)}; }

 private:
  explicit Four(__m256i x) : v(x) {}
};

struct Quads {  // callers keep the sum of two products within 16 bits
  static constexpr int kLanes = 8;
  __m256i v;
  static Quads zero() { return {_mm256_setzero_si256()}; }
  static Quads set1(uint32_t x) { return {_mm256_set1_epi32(static_cast<int>(x))}; }
  static Quads load(const uint32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  void store(uint32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
  void add(Bytes x, Four four) {
    v = _mm256_add_epi32(v, _mm256_madd_epi16(_mm256_maddubs_epi16(x.v, four.v), _mm256_set1_epi16(1)));
  }
  void add_small_squares(Bytes x) { add(x, Four::of(x)); }
  void add_squares(Bytes x) {
    const __m256i even = _mm256_and_si256(x.v, _mm256_set1_epi16(255)), odd = _mm256_srli_epi16(x.v, 8);
    v = _mm256_add_epi32(v, _mm256_add_epi32(_mm256_madd_epi16(even, even), _mm256_madd_epi16(odd, odd)));
  }
};

constexpr int kOrigin = 0;
inline Bytes multiplicand(Bytes x) { return x; }

inline void store_in_order(const Quads (&x)[4], uint32_t* out) {
  const __m256i rows[4] = {_mm256_permute2x128_si256(x[0].v, x[1].v, 0x20), _mm256_permute2x128_si256(x[2].v, x[3].v, 0x20),
                           _mm256_permute2x128_si256(x[0].v, x[1].v, 0x31), _mm256_permute2x128_si256(x[2].v, x[3].v, 0x31)};
  for (int i = 0; i < 4; ++i) _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 8 * i), rows[i]);
}

inline bool any_at_least(const Quads (&x)[4], uint32_t floor) {
  const __m256i most = _mm256_max_epu32(_mm256_max_epu32(x[0].v, x[1].v), _mm256_max_epu32(x[2].v, x[3].v));
  const __m256i bar = _mm256_set1_epi32(static_cast<int>(floor));
  return _mm256_movemask_epi8(_mm256_cmpeq_epi32(_mm256_max_epu32(most, bar), most)) != 0;
}

inline uint64_t at_least(const uint32_t* sums, uint32_t floor) {
  const __m256i bar = _mm256_set1_epi32(static_cast<int>(floor));
  uint64_t mask = 0;
  for (int i = 0; i < 8; ++i) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums + 8 * i));
    const int pass = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_max_epu32(x, bar), x)));
    mask |= static_cast<uint64_t>(static_cast<uint32_t>(pass)) << (8 * i);
  }
  return mask;
}

inline uint64_t not_below(const float* x, float bar) {
  const __m256 wanted = _mm256_set1_ps(bar);
  uint64_t mask = 0;
  for (int i = 0; i < 8; ++i) {
    const int pass = _mm256_movemask_ps(_mm256_cmp_ps(_mm256_loadu_ps(x + 8 * i), wanted, _CMP_NLT_UQ));
    mask |= static_cast<uint64_t>(static_cast<uint32_t>(pass)) << (8 * i);
  }
  return mask;
}

struct Floats {
  static constexpr int kLanes = 8;
  __m256 v;
  static Floats load(const float* p) { return {_mm256_loadu_ps(p)}; }
  static Floats load_half(const uint16_t* p) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static Floats set1(float x) { return {_mm256_set1_ps(x)}; }
  static Floats zero() { return {_mm256_setzero_ps()}; }
  Floats operator-(Floats o) const { return {_mm256_sub_ps(v, o.v)}; }
  Floats operator+(Floats o) const { return {_mm256_add_ps(v, o.v)}; }
  Floats operator*(Floats o) const { return {_mm256_mul_ps(v, o.v)}; }
  Floats operator/(Floats o) const { return {_mm256_div_ps(v, o.v)}; }
  Floats hadamard() const {
    const __m256 odd = _mm256_setr_ps(0, -0.0f, 0, -0.0f, 0, -0.0f, 0, -0.0f);
    const __m256 pairs = _mm256_setr_ps(0, 0, -0.0f, -0.0f, 0, 0, -0.0f, -0.0f);
    const __m256 fours = _mm256_setr_ps(0, 0, 0, 0, -0.0f, -0.0f, -0.0f, -0.0f);
    __m256 x = v;
    x = _mm256_add_ps(_mm256_permute_ps(x, 0xB1), _mm256_xor_ps(x, odd));
    x = _mm256_add_ps(_mm256_permute_ps(x, 0x4E), _mm256_xor_ps(x, pairs));
    return {_mm256_add_ps(_mm256_permute2f128_ps(x, x, 1), _mm256_xor_ps(x, fours))};
  }
  void store(float* p) const { _mm256_storeu_ps(p, v); }
};
inline Floats fma(Floats a, Floats b, Floats c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }

struct Ints {
  __m256i v;
  static Ints load(const uint32_t* p) { return {_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))}; }
  static Ints set1(uint32_t x) { return {_mm256_set1_epi32(static_cast<int>(x))}; }
  static Ints zero() { return {_mm256_setzero_si256()}; }
  Ints operator|(Ints o) const { return {_mm256_or_si256(v, o.v)}; }
  void store(uint32_t* p) const { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
};

inline void levels_of_unit(const float* by_number, const float*, const uint8_t*, const uint8_t* numbers, float* out) {
#pragma GCC unroll 32
  for (int i = 0; i < 32; ++i) out[i] = by_number[static_cast<uint8_t>(numbers[i % 8 * 4 + i / 8] + kOrigin)];
}

inline Floats negative(Floats x) { return {_mm256_xor_ps(x.v, _mm256_set1_ps(-0.0f))}; }

inline Floats smaller(Floats a, Floats b) { return {_mm256_min_ps(a.v, b.v)}; }
inline Floats larger(Floats a, Floats b) { return {_mm256_max_ps(a.v, b.v)}; }
inline float smallest_of(Floats x) {
  __m128 four = _mm_min_ps(_mm256_castps256_ps128(x.v), _mm256_extractf128_ps(x.v, 1));
  four = _mm_min_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_min_ss(four, _mm_shuffle_ps(four, four, 1)));
}
inline float largest_of(Floats x) {
  __m128 four = _mm_max_ps(_mm256_castps256_ps128(x.v), _mm256_extractf128_ps(x.v, 1));
  four = _mm_max_ps(four, _mm_movehl_ps(four, four));
  return _mm_cvtss_f32(_mm_max_ss(four, _mm_shuffle_ps(four, four, 1)));
}
inline uint32_t lanes_at_most(Floats x, float bar) {
  return static_cast<uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(x.v, _mm256_set1_ps(bar), _CMP_LE_OQ)));
}

inline Floats within(Floats x, Floats low, Floats high) { return {_mm256_min_ps(_mm256_max_ps(x.v, low.v), high.v)}; }

inline void store_rounded(const Floats (&x)[8], uint8_t* out) {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
  for (int half = 0; half < 2; ++half) {
    const Floats* y = x + 4 * half;
    const __m256i a = _mm256_packus_epi32(_mm256_cvtps_epi32(y[0].v), _mm256_cvtps_epi32(y[1].v));
    const __m256i b = _mm256_packus_epi32(_mm256_cvtps_epi32(y[2].v), _mm256_cvtps_epi32(y[3].v));
    const __m256i bytes = _mm256_permutevar8x32_epi32(_mm256_packus_epi16(a, b), order);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 32 * half), bytes);
  }
}

struct Magnitudes {
  __m256i most;
  static Magnitudes zero() { return {_mm256_setzero_si256()}; }
  void add(Floats x) { most = _mm256_max_epi32(most, _mm256_and_si256(_mm256_castps_si256(x.v), _mm256_set1_epi32(INT32_MAX))); }
  bool beyond(int32_t limit) const { return _mm256_movemask_epi8(_mm256_cmpgt_epi32(most, _mm256_set1_epi32(limit))) != 0; }
};

inline void keep_smaller(Floats x, Ints label, Floats& best, Ints& best_label) {
  const __m256 less = _mm256_cmp_ps(x.v, best.v, _CMP_LT_OQ);
  best.v = _mm256_min_ps(x.v, best.v);  // gives its second argument where they are equal or not numbers
  best_label.v = _mm256_blendv_epi8(best_label.v, label.v, _mm256_castps_si256(less));
}

using Lanes = uint8_t;
constexpr int kLaneBits = 1;
inline void store_less(Floats a, Floats b, Lanes* out) {
  *static_cast<volatile Lanes*>(out) = static_cast<Lanes>(_mm256_movemask_ps(_mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ)));
}

inline void keep_two_larger(Floats x, Ints label, Floats& best, Floats& second, Ints& best_label) {
  const __m256 more = _mm256_cmp_ps(x.v, best.v, _CMP_GT_OQ);
  second.v = _mm256_max_ps(second.v, _mm256_min_ps(x.v, best.v));
  best.v = _mm256_max_ps(x.v, best.v);
  best_label.v = _mm256_blendv_epi8(best_label.v, label.v, _mm256_castps_si256(more));
}

inline uint64_t greater(const float* x, const float* y) {
  const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);  // undoes what packing in 128-bit halves does
  const __m256i backwards = _mm256_setr_epi8(7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8,  //
                                             7, 6, 5, 4, 3, 2, 1, 0, 15, 14, 13, 12, 11, 10, 9, 8);
  uint64_t bits = 0;
  for (int half = 0; half < 2; ++half) {
    __m256i above[4];
    for (int i = 0; i < 4; ++i) {
      const int at = 32 * half + 8 * i;
      above[i] = _mm256_castps_si256(_mm256_cmp_ps(_mm256_loadu_ps(x + at), _mm256_loadu_ps(y + at), _CMP_GT_OQ));
    }
    const __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(above[0], above[1]), _mm256_packs_epi32(above[2], above[3]));
    const __m256i placed = _mm256_shuffle_epi8(_mm256_permutevar8x32_epi32(bytes, order), backwards);
    bits |= static_cast<uint64_t>(static_cast<uint32_t>(_mm256_movemask_epi8(placed))) << (32 * half);
  }
  return bits;
}

struct Squares {
  __m256d low, high;
  static Squares zero() { return {_mm256_setzero_pd(), _mm256_setzero_pd()}; }
  void add(const float* p) {
    const __m256d x = _mm256_cvtps_pd(_mm_loadu_ps(p)), y = _mm256_cvtps_pd(_mm_loadu_ps(p + 4));
    low = _mm256_fmadd_pd(x, x, low);
    high = _mm256_fmadd_pd(y, y, high);
  }
  void store(double* out) const {
    _mm256_storeu_pd(out, low);
    _mm256_storeu_pd(out + 4, high);
  }
};

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
