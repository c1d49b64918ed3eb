// NEON vectors for the shared kernels: included inside an anonymous namespace. Comments: vec_avx512.inl.
constexpr int kRegisters = 32;

struct Bytes {
  static constexpr int kLanes = 16;
  uint8x16_t v;
  static Bytes load(const uint8_t* p) { return {vld1q_u8(p)}; }
  void store(uint8_t* p) const { vst1q_u8(p, v); }
  static Bytes set1(uint8_t x) { return {vdupq_n_u8(x)}; }
  static Bytes set_four(const uint8_t* p) {
    uint32_t four;
    __builtin_memcpy(&four, p, 4);
    return {vreinterpretq_u8_u32(vdupq_n_u32(four))};
  }
  static Bytes zero() { return {vdupq_n_u8(0)}; }
  static Bytes table16(const uint8_t* p) { return {vld1q_u8(p)}; }
  Bytes lookup(Bytes nibbles) const { return {vqtbl1q_u8(v, nibbles.v)}; }
  Bytes low_nibbles() const { return {vandq_u8(v, vdupq_n_u8(15))}; }
  Bytes high_nibbles() const { return {vshrq_n_u8(v, 4)}; }
  Bytes popcount() const { return {vcntq_u8(v)}; }
  Bytes operator^(Bytes o) const { return {veorq_u8(v, o.v)}; }
  Bytes operator+(Bytes o) const { return {vaddq_u8(v, o.v)}; }
  Bytes operator&(Bytes o) const { return {vandq_u8(v, o.v)}; }
  Bytes operator|(Bytes o) const { return {vorrq_u8(v, o.v)}; }
  template <int kShift, int W>
  Bytes field() const {
    if constexpr (kShift == 0)
      return {vandq_u8(v, vdupq_n_u8((1 << W) - 1))};
    else
      return {vandq_u8(vshrq_n_u8(v, kShift), vdupq_n_u8((1 << W) - 1))};
  }
  template <int W>
  Bytes up() const {
    if constexpr (W == 8)
      return zero();
    else
      return {vshlq_n_u8(v, W)};
  }
};

inline Bytes average(Bytes a, Bytes b) { return {vrhaddq_u8(a.v, b.v)}; }

inline uint64_t lanes_at_least(const uint16_t* sums, uint16_t floor) {
  const uint16x8_t bar = vdupq_n_u16(floor);
  const uint8x16_t weights = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
  const uint16x8_t a = vcgeq_u16(vld1q_u16(sums), bar), b = vcgeq_u16(vld1q_u16(sums + 8), bar);
  const uint8x16_t bits = vandq_u8(vcombine_u8(vmovn_u16(a), vmovn_u16(b)), weights);
  const uint64_t low = vaddv_u8(vget_low_u8(bits)), high = vaddv_u8(vget_high_u8(bits));
  return low | high << 8;
}

// Four tables are four registers, looked up by tbl.
struct FourTables {
  const uint8_t* p;
  explicit FourTables(const uint8_t* tables) : p(tables) {}
  template <int T>
  static Bytes place(Bytes codes) { return T % 2 ? codes.high_nibbles() : codes.low_nibbles(); }
  template <int T>
  Bytes lookup(Bytes place) const { return Bytes::table16(p + 16 * T).lookup(place); }
};

struct ByteSums {  // NEON widens in one instruction, so the two halves are kept as they are
  uint16x8_t low = vdupq_n_u16(0), high = vdupq_n_u16(0);
  void add(Bytes b) {
    low = vaddw_u8(low, vget_low_u8(b.v));
    high = vaddw_high_u8(high, b.v);
  }
  void add(const ByteSums& o) {
    low = vaddq_u16(low, o.low);
    high = vaddq_u16(high, o.high);
  }
  uint64_t at_least(uint16_t floor, uint16_t* out) const {
    if (vmaxvq_u16(vmaxq_u16(low, high)) < floor) return 0;
    store(out);
    return lanes_at_least(out, floor);
  }
  void store(uint16_t* out) const {
    vst1q_u16(out, low);
    vst1q_u16(out + 8, high);
  }
};

inline void interleave(Bytes (&x)[4]) {
  const uint16x8_t ab_low = vreinterpretq_u16_u8(vzip1q_u8(x[0].v, x[1].v)), ab_high = vreinterpretq_u16_u8(vzip2q_u8(x[0].v, x[1].v));
  const uint16x8_t cd_low = vreinterpretq_u16_u8(vzip1q_u8(x[2].v, x[3].v)), cd_high = vreinterpretq_u16_u8(vzip2q_u8(x[2].v, x[3].v));
  x[0].v = vreinterpretq_u8_u16(vzip1q_u16(ab_low, cd_low));
  x[1].v = vreinterpretq_u8_u16(vzip2q_u16(ab_low, cd_low));
  x[2].v = vreinterpretq_u8_u16(vzip1q_u16(ab_high, cd_high));
  x[3].v = vreinterpretq_u8_u16(vzip2q_u16(ab_high, cd_high));
}

struct Four {
  int8x16_t v;
  explicit Four(const int8_t* p) {
    int32_t four;
    __builtin_memcpy(&four, p, 4);
    v = vreinterpretq_s8_s32(vdupq_n_s32(four));
  }
  static Four load(const int8_t* p) { return Four(vld1q_s8(p)); }
  Bytes operator&(Bytes x) const { return {vandq_u8(vreinterpretq_u8_s8(v), x.v)}; }

 private:
  explicit Four(int8x16_t x) : v(x) {}
};

struct Quads {  // bytes are signed here: two products stay within 16 bits
  static constexpr int kLanes = 4;
  int32x4_t v;
  static Quads zero() { return {vdupq_n_s32(0)}; }
  static Quads set1(uint32_t x) { return {vdupq_n_s32(static_cast<int32_t>(x))}; }
  static Quads load(const uint32_t* p) { return {vreinterpretq_s32_u32(vld1q_u32(p))}; }
  void store(uint32_t* p) const { vst1q_u32(p, vreinterpretq_u32_s32(v)); }
  void add(Bytes x, Four four) {
    const int8x16_t y = vreinterpretq_s8_u8(x.v);
    const int16x8_t low = vmull_s8(vget_low_s8(y), vget_low_s8(four.v)), high = vmull_high_s8(y, four.v);
    v = vpadalq_s16(v, vpaddq_s16(low, high));
  }
  void add_small_squares(Bytes x) { add_squares(x); }
  void add_squares(Bytes x) {  // two squares may be 2^15
    const int8x16_t y = vreinterpretq_s8_u8(x.v);
    const uint16x8_t low = vreinterpretq_u16_s16(vmull_s8(vget_low_s8(y), vget_low_s8(y)));
    const uint16x8_t high = vreinterpretq_u16_s16(vmull_high_s8(y, y));
    v = vreinterpretq_s32_u32(vpadalq_u16(vreinterpretq_u32_s32(v), vpaddq_u16(low, high)));
  }
};

constexpr int kOrigin = 128;
inline Bytes multiplicand(Bytes x) { return x ^ Bytes::set1(kOrigin); }

inline void store_in_order(const Quads (&x)[4], uint32_t* out) {
  for (int i = 0; i < 4; ++i) vst1q_u32(out + 4 * i, vreinterpretq_u32_s32(x[i].v));
}

inline bool any_at_least(const Quads (&x)[4], uint32_t floor) {
  const uint32x4_t a = vmaxq_u32(vreinterpretq_u32_s32(x[0].v), vreinterpretq_u32_s32(x[1].v));
  const uint32x4_t b = vmaxq_u32(vreinterpretq_u32_s32(x[2].v), vreinterpretq_u32_s32(x[3].v));
  return vmaxvq_u32(vmaxq_u32(a, b)) >= floor;
}

inline uint64_t at_least(const uint32_t* sums, uint32_t floor) {
  const uint32x4_t bar = vdupq_n_u32(floor), low = {1, 2, 4, 8}, high = {16, 32, 64, 128};
  uint64_t mask = 0;
  for (int i = 0; i < 8; ++i) {
    const uint32x4_t a = vcgeq_u32(vld1q_u32(sums + 8 * i), bar), b = vcgeq_u32(vld1q_u32(sums + 8 * i + 4), bar);
    mask |= static_cast<uint64_t>(vaddvq_u32(vorrq_u32(vandq_u32(low, a), vandq_u32(high, b)))) << (8 * i);
  }
  return mask;
}

inline uint64_t not_below(const float* x, float bar) {
  const float32x4_t wanted = vdupq_n_f32(bar);
  const uint32x4_t low = {1, 2, 4, 8}, high = {16, 32, 64, 128};
  uint64_t mask = 0;
  for (int i = 0; i < 8; ++i) {
    const uint32x4_t below = vcltq_f32(vld1q_f32(x + 8 * i), wanted), more = vcltq_f32(vld1q_f32(x + 8 * i + 4), wanted);
    mask |= static_cast<uint64_t>(vaddvq_u32(vorrq_u32(vbicq_u32(low, below), vbicq_u32(high, more)))) << (8 * i);
  }
  return mask;
}

struct Floats {
  static constexpr int kLanes = 4;
  float32x4_t v;
  static Floats load(const float* p) { return {vld1q_f32(p)}; }
  static Floats load_half(const uint16_t* p) { return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))}; }
  static Floats set1(float x) { return {vdupq_n_f32(x)}; }
  static Floats zero() { return {vdupq_n_f32(0)}; }
  Floats operator-(Floats o) const { return {vsubq_f32(v, o.v)}; }
  Floats operator+(Floats o) const { return {vaddq_f32(v, o.v)}; }
  Floats operator*(Floats o) const { return {vmulq_f32(v, o.v)}; }
  Floats operator/(Floats o) const { return {vdivq_f32(v, o.v)}; }
  Floats hadamard() const {
    const uint32x4_t odd = {0, ~0u, 0, ~0u}, pair = {0, 0, ~0u, ~0u};
    const float32x4_t y = vrev64q_f32(v), x = vbslq_f32(odd, vsubq_f32(y, v), vaddq_f32(v, y));
    const float32x4_t z = vextq_f32(x, x, 2);
    return {vbslq_f32(pair, vsubq_f32(z, x), vaddq_f32(x, z))};
  }
  void store(float* p) const { vst1q_f32(p, v); }
};
inline Floats fma(Floats a, Floats b, Floats c) { return {vfmaq_f32(c.v, a.v, b.v)}; }

struct Ints {
  uint32x4_t v;
  static Ints load(const uint32_t* p) { return {vld1q_u32(p)}; }
  static Ints set1(uint32_t x) { return {vdupq_n_u32(x)}; }
  static Ints zero() { return {vdupq_n_u32(0)}; }
  Ints operator|(Ints o) const { return {vorrq_u32(v, o.v)}; }
  void store(uint32_t* p) const { vst1q_u32(p, v); }
};

inline void levels_of_unit(const float* by_number, const float*, const uint8_t*, const uint8_t* numbers, float* out) {
#pragma GCC unroll 32
  for (int i = 0; i < 32; ++i) out[i] = by_number[static_cast<uint8_t>(numbers[i % 8 * 4 + i / 8] + kOrigin)];
}

inline Floats negative(Floats x) { return {vnegq_f32(x.v)}; }

inline Floats smaller(Floats a, Floats b) { return {vminq_f32(a.v, b.v)}; }
inline Floats larger(Floats a, Floats b) { return {vmaxq_f32(a.v, b.v)}; }
inline float smallest_of(Floats x) { return vminvq_f32(x.v); }
inline float largest_of(Floats x) { return vmaxvq_f32(x.v); }
inline uint32_t lanes_at_most(Floats x, float bar) {
  const uint32x4_t bits = {1, 2, 4, 8};
  return vaddvq_u32(vandq_u32(bits, vcleq_f32(x.v, vdupq_n_f32(bar))));
}

inline Floats within(Floats x, Floats low, Floats high) { return {vminq_f32(vmaxnmq_f32(x.v, low.v), high.v)}; }

inline void store_rounded(const Floats (&x)[16], uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    uint16x4_t part[4];
    for (int j = 0; j < 4; ++j) part[j] = vmovn_u32(vcvtnq_u32_f32(x[4 * i + j].v));
    const uint8x8_t low = vmovn_u16(vcombine_u16(part[0], part[1])), high = vmovn_u16(vcombine_u16(part[2], part[3]));
    vst1q_u8(out + 16 * i, vcombine_u8(low, high));
  }
}

struct Magnitudes {
  uint32x4_t most;
  static Magnitudes zero() { return {vdupq_n_u32(0)}; }
  void add(Floats x) { most = vmaxq_u32(most, vreinterpretq_u32_f32(vabsq_f32(x.v))); }
  bool beyond(int32_t limit) const { return vmaxvq_u32(most) > static_cast<uint32_t>(limit); }
};

inline void keep_smaller(Floats x, Ints label, Floats& best, Ints& best_label) {
  const uint32x4_t less = vcltq_f32(x.v, best.v);
  best.v = vbslq_f32(less, x.v, best.v);
  best_label.v = vbslq_u32(less, label.v, best_label.v);
}

using Lanes = uint64_t;
constexpr int kLaneBits = 16;
inline void store_less(Floats a, Floats b, Lanes* out) { vst1_u64(out, vreinterpret_u64_u16(vmovn_u32(vcltq_f32(a.v, b.v)))); }

inline void keep_two_larger(Floats x, Ints label, Floats& best, Floats& second, Ints& best_label) {
  const uint32x4_t more = vcgtq_f32(x.v, best.v), not_more = vcleq_f32(x.v, best.v);
  const float32x4_t smaller = vbslq_f32(not_more, x.v, best.v);  // best where x is not a number
  second.v = vbslq_f32(vcgtq_f32(smaller, second.v), smaller, second.v);
  best.v = vbslq_f32(more, x.v, best.v);
  best_label.v = vbslq_u32(more, label.v, best_label.v);
}

inline uint64_t greater(const float* x, const float* y) {
  const uint8x16_t weights = {128, 64, 32, 16, 8, 4, 2, 1, 128, 64, 32, 16, 8, 4, 2, 1};
  uint64_t bits = 0;
  for (int i = 0; i < 4; ++i) {
    uint16x4_t above[4];
    for (int j = 0; j < 4; ++j)
      above[j] = vmovn_u32(vcgtq_f32(vld1q_f32(x + 16 * i + 4 * j), vld1q_f32(y + 16 * i + 4 * j)));
    const uint8x8_t a = vmovn_u16(vcombine_u16(above[0], above[1])), b = vmovn_u16(vcombine_u16(above[2], above[3]));
    const uint8x16_t placed = vandq_u8(vcombine_u8(a, b), weights);
    const uint64_t low = vaddv_u8(vget_low_u8(placed)), high = vaddv_u8(vget_high_u8(placed));
    bits |= (low | high << 8) << (16 * i);
  }
  return bits;
}

struct Squares {
  float64x2_t sums[4];
  static Squares zero() { return {{vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0), vdupq_n_f64(0)}}; }
  void add(const float* p) {
    const float32x4_t x = vld1q_f32(p), y = vld1q_f32(p + 4);
    const float64x2_t parts[4] = {vcvt_f64_f32(vget_low_f32(x)), vcvt_high_f64_f32(x), vcvt_f64_f32(vget_low_f32(y)),
                                  vcvt_high_f64_f32(y)};
    for (int i = 0; i < 4; ++i) sums[i] = vfmaq_f64(sums[i], parts[i], parts[i]);
  }
  void store(double* out) const {
    for (int i = 0; i < 4; ++i) vst1q_f64(out + 2 * i, sums[i]);
  }
};

inline void transpose4(const float* in, int64_t in_stride, float* out, int64_t out_stride) {
  const float32x4_t a = vld1q_f32(in), b = vld1q_f32(in + in_stride);
  const float32x4_t c = vld1q_f32(in + 2 * in_stride), d = vld1q_f32(in + 3 * in_stride);
  const float32x4_t ac_low = vzip1q_f32(a, c), ac_high = vzip2q_f32(a, c), bd_low = vzip1q_f32(b, d), bd_high = vzip2q_f32(b, d);
  vst1q_f32(out, vzip1q_f32(ac_low, bd_low));
  vst1q_f32(out + out_stride, vzip2q_f32(ac_low, bd_low));
  vst1q_f32(out + 2 * out_stride, vzip1q_f32(ac_high, bd_high));
  vst1q_f32(out + 3 * out_stride, vzip2q_f32(ac_high, bd_high));
}
inline void transpose16(const uint8_t* in, int64_t in_stride, uint8_t* out, int64_t out_stride) {
  uint8x16_t x[16], y[16];
  for (int i = 0; i < 16; ++i) x[i] = vld1q_u8(in + i * in_stride);
  for (int step = 0; step < 4; ++step) {
    for (int i = 0; i < 8; ++i) {
      y[2 * i] = vzip1q_u8(x[i], x[i + 8]);
      y[2 * i + 1] = vzip2q_u8(x[i], x[i + 8]);
    }
    for (int i = 0; i < 16; ++i) x[i] = y[i];
  }
  for (int i = 0; i < 16; ++i) vst1q_u8(out + i * out_stride, x[i]);
}
