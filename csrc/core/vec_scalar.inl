// Vectors of the baseline machine for the shared kernels: eight bytes in a 64-bit word, one float. Included inside an anonymous
// namespace. Comments: vec_avx512.inl.
constexpr int kRegisters = 16;

struct Bytes {
  static constexpr int kLanes = 8;
  uint64_t v;
  static Bytes load(const uint8_t* p) {
    Bytes out;
    __builtin_memcpy(&out.v, p, 8);
    return out;
  }
  void store(uint8_t* p) const { __builtin_memcpy(p, &v, 8); }
  static Bytes set1(uint8_t x) { return {x * 0x0101010101010101u}; }
  static Bytes set_four(const uint8_t* p) {
    uint32_t four;
    __builtin_memcpy(&four, p, 4);
    return {four * uint64_t{0x100000001}};
  }
  static Bytes zero() { return {0}; }
  Bytes popcount() const {  // bits summed in pairs, nibbles, bytes
    uint64_t x = v - (v >> 1 & 0x5555555555555555u);
    x = (x & 0x3333333333333333u) + (x >> 2 & 0x3333333333333333u);
    return {(x + (x >> 4)) & 0x0f0f0f0f0f0f0f0fu};
  }
  Bytes operator^(Bytes o) const { return {v ^ o.v}; }
  Bytes operator+(Bytes o) const { return {v + o.v}; }  // callers keep bytes below 256: no carry into the next
  Bytes operator&(Bytes o) const { return {v & o.v}; }
  Bytes operator|(Bytes o) const { return {v | o.v}; }
  template <int kShift, int W>
  Bytes field() const { return {v >> kShift & 0x0101010101010101u * ((1u << W) - 1)}; }
  template <int W>
  Bytes up() const { return {v << W}; }
};

inline uint64_t lanes_at_least(const uint16_t* sums, uint16_t floor) {
  uint64_t mask = 0;
  for (int r = 0; r < Bytes::kLanes; ++r) mask |= static_cast<uint64_t>(sums[r] >= floor) << r;
  return mask;
}

struct ByteSums {
  uint64_t even = 0, odd = 0;
  void add(Bytes b) {
    even += b.v & 0x00ff00ff00ff00ffu;
    odd += b.v >> 8 & 0x00ff00ff00ff00ffu;
  }
  uint64_t at_least(uint16_t floor, uint16_t* out) const {
    store(out);
    return lanes_at_least(out, floor);
  }
  void store(uint16_t* out) const {
    for (int i = 0; i < 4; ++i) {
      out[2 * i] = static_cast<uint16_t>(even >> (16 * i));
      out[2 * i + 1] = static_cast<uint16_t>(odd >> (16 * i));
    }
  }
};

inline void interleave(Bytes (&x)[4]) {
  Bytes out[4];
  for (int k = 0; k < 4; ++k) {
    out[k].v = 0;
    for (int row = 0; row < 2; ++row)
      for (int i = 0; i < 4; ++i) out[k].v |= (x[i].v >> (8 * (2 * k + row)) & 255) << (32 * row + 8 * i);
  }
  for (int k = 0; k < 4; ++k) x[k] = out[k];
}

struct Four {
  int v[8];
  explicit Four(const int8_t* p) {
    for (int i = 0; i < 8; ++i) v[i] = p[i % 4];
  }
  static Four load(const int8_t* p) {
    Four out(p);
    for (int i = 4; i < 8; ++i) out.v[i] = p[i];
    return out;
  }
  Bytes operator&(Bytes x) const {
    uint64_t all = 0;
    for (int i = 0; i < 8; ++i) all |= static_cast<uint64_t>(v[i] & 255) << (8 * i);
    return {all & x.v};
  }
};

struct Quads {
  static constexpr int kLanes = 2;
  int32_t v[2];
  static Quads zero() { return {{0, 0}}; }
  static Quads set1(uint32_t x) { return {{static_cast<int32_t>(x), static_cast<int32_t>(x)}}; }
  static Quads load(const uint32_t* p) { return {{static_cast<int32_t>(p[0]), static_cast<int32_t>(p[1])}}; }
  void store(uint32_t* p) const {
    for (int row = 0; row < 2; ++row) p[row] = static_cast<uint32_t>(v[row]);
  }
  void add(Bytes x, const Four& four) {
    for (int row = 0; row < 2; ++row)
      for (int i = 0; i < 4; ++i) v[row] += static_cast<int>(x.v >> (32 * row + 8 * i) & 255) * four.v[4 * row + i];
  }
  void add_small_squares(Bytes x) { add_squares(x); }
  void add_squares(Bytes x) {
    for (int row = 0; row < 2; ++row)
      for (int i = 0; i < 4; ++i) {
        const int number = static_cast<int>(x.v >> (32 * row + 8 * i) & 255);
        v[row] += number * number;
      }
  }
};

constexpr int kOrigin = 0;
inline Bytes multiplicand(Bytes x) { return x; }

inline void store_in_order(const Quads (&x)[4], uint32_t* out) {
  for (int k = 0; k < 4; ++k)
    for (int row = 0; row < 2; ++row) out[2 * k + row] = static_cast<uint32_t>(x[k].v[row]);
}

inline bool any_at_least(const Quads (&x)[4], uint32_t floor) {
  bool any = false;
  for (int k = 0; k < 4; ++k)
    for (int row = 0; row < 2; ++row) any |= static_cast<uint32_t>(x[k].v[row]) >= floor;
  return any;
}

inline uint64_t at_least(const uint32_t* sums, uint32_t floor) {
  uint64_t mask = 0;
  for (int r = 0; r < 64; ++r) mask |= static_cast<uint64_t>(sums[r] >= floor) << r;
  return mask;
}

inline uint64_t not_below(const float* x, float bar) {
  uint64_t mask = 0;
  for (int r = 0; r < 64; ++r) mask |= static_cast<uint64_t>(!(x[r] < bar)) << r;
  return mask;
}

struct Floats {
  static constexpr int kLanes = 1;
  float v;
  static Floats load(const float* p) {
    Floats out;
    __builtin_memcpy(&out.v, p, 4);
    return out;
  }
  static Floats load_half(const uint16_t* p) {
    uint16_t half;
    __builtin_memcpy(&half, p, 2);
    return {half_to_float(half)};
  }
  static Floats set1(float x) { return {x}; }
  static Floats zero() { return {0.0f}; }
  Floats operator-(Floats o) const { return {v - o.v}; }
  Floats operator+(Floats o) const { return {v + o.v}; }
  Floats operator*(Floats o) const { return {v * o.v}; }
  Floats operator/(Floats o) const { return {v / o.v}; }
  Floats hadamard() const { return *this; }
  void store(float* p) const { *p = v; }
};
inline Floats fma(Floats a, Floats b, Floats c) { return {__builtin_fmaf(a.v, b.v, c.v)}; }

struct Ints {
  uint32_t v;
  static Ints load(const uint32_t* p) { return {*p}; }
  static Ints set1(uint32_t x) { return {x}; }
  static Ints zero() { return {0}; }
  Ints operator|(Ints o) const { return {v | o.v}; }
  void store(uint32_t* p) const { *p = v; }
};

inline void levels_of_unit(const float* by_number, const float*, const uint8_t*, const uint8_t* numbers, float* out) {
#pragma GCC unroll 32
  for (int i = 0; i < 32; ++i) out[i] = by_number[static_cast<uint8_t>(numbers[i % 8 * 4 + i / 8] + kOrigin)];
}

inline Floats negative(Floats x) { return {-x.v}; }

inline Floats smaller(Floats a, Floats b) { return a.v < b.v ? a : b; }
inline Floats larger(Floats a, Floats b) { return a.v > b.v ? a : b; }
inline float smallest_of(Floats x) { return x.v; }
inline float largest_of(Floats x) { return x.v; }
inline uint32_t lanes_at_most(Floats x, float bar) { return x.v <= bar; }

inline Floats within(Floats x, Floats low, Floats high) { return smaller(larger(x, low), high); }

inline void store_rounded(const Floats (&x)[64], uint8_t* out) {
  for (int i = 0; i < 64; ++i) {
    const float sum = x[i].v + 8388608.0f;  // 2^23: it rounds to a whole number, ties to even, which are its lowest bits
    uint32_t bits;
    __builtin_memcpy(&bits, &sum, sizeof bits);
    out[i] = static_cast<uint8_t>(bits);
  }
}

struct Magnitudes {
  int32_t most;
  static Magnitudes zero() { return {0}; }
  void add(Floats x) {
    int32_t bits;
    __builtin_memcpy(&bits, &x.v, sizeof bits);
    bits &= INT32_MAX;
    most = bits > most ? bits : most;
  }
  bool beyond(int32_t limit) const { return most > limit; }
};

inline void keep_smaller(Floats x, Ints label, Floats& best, Ints& best_label) {
  if (x.v < best.v) {
    best = x;
    best_label = label;
  }
}

using Lanes = uint8_t;
constexpr int kLaneBits = 1;
inline void store_less(Floats a, Floats b, Lanes* out) { *out = a.v < b.v; }

inline void keep_two_larger(Floats x, Ints label, Floats& best, Floats& second, Ints& best_label) {
  const float smaller = x.v <= best.v ? x.v : best.v;  // best where x is not a number
  if (smaller > second.v) second.v = smaller;
  if (x.v > best.v) {
    best = x;
    best_label = label;
  }
}

inline uint64_t greater(const float* x, const float* y) {
  uint64_t bits = 0;
  for (int i = 0; i < 64; ++i) bits |= static_cast<uint64_t>(x[i] > y[i]) << (i ^ 7);
  return bits;
}

struct Squares {
  double sums[8];
  static Squares zero() { return {}; }
  void add(const float* p) {
    for (int i = 0; i < 8; ++i) sums[i] += static_cast<double>(p[i]) * p[i];
  }
  void store(double* out) const {
    for (int i = 0; i < 8; ++i) out[i] = sums[i];
  }
};

inline void transpose4(const float* in, int64_t in_stride, float* out, int64_t out_stride) {
  for (int i = 0; i < 4; ++i)
    for (int j = 0; j < 4; ++j) out[j * out_stride + i] = in[i * in_stride + j];
}
inline void transpose16(const uint8_t* in, int64_t in_stride, uint8_t* out, int64_t out_stride) {
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < 16; ++j) out[j * out_stride + i] = in[i * in_stride + j];
}
