// `sdc` by tables of 64 entries (vpermb), for numbers of 2 bits: three of them a look-up. It takes the lowest six bits of its
// index, so the last three numbers of a byte need no work, and the first numbers of three bytes are put together. Included after
// sdc/tables.inl.

struct Sixes {
  static constexpr int64_t kPlanes = 65535 / 36 / 3 * 3;  // that 16 bits hold the sums of
  static constexpr bool kSegments = true;
  static constexpr int kQueries = 2;

  static int64_t bytes(const Scan& s) { return (s.payload + 2) / 3 * 256; }

  static uint32_t prepare(const Scan& s, int64_t q, uint8_t* out) {
    const uint8_t* code = query_code(s, q);
    for (int64_t j = 0; j < s.payload; j += 3, out += 256) {
      int first = 0, first_inside = 0;
      for (int i = 0; i < 3; ++i) {
        const int bits = j + i < s.payload ? code[j + i] : 0, inside = j + i < s.payload ? inside_byte(s, j + i) : 0;
        copy_row<2, 6>(bits, inside, out + 64 * i);
        first |= bits >> 6 << 2 * i;
        first_inside |= inside >> 6 << 2 * i;
      }
      copy_row<2, 6>(first, first_inside, out + 192);
    }
    return 0;
  }

  // Shifts, but not in the way of look-ups.
  template <int kShift>
  [[gnu::always_inline]] static __m512i down(Bytes x) { return _mm512_mulhi_epu16(x.v, _mm512_set1_epi16(1 << (16 - kShift))); }

  // The highest two bits of three bytes.
  [[gnu::always_inline]] static Bytes first_numbers(Bytes a, Bytes b, Bytes c) {
    constexpr int which = 0xE4;  // bits of the third choose the first's, else the second's
    const __m512i ab = _mm512_ternarylogic_epi32(down<6>(a), down<4>(b), _mm512_set1_epi8(0x03), which);
    return {_mm512_ternarylogic_epi32(ab, down<2>(c), _mm512_set1_epi8(0x0F), which)};
  }

  // Loaded once: gcc would load it again for each use.
  [[gnu::always_inline]] static Bytes held(Bytes x) {
    __asm__("" : "+v"(x.v));
    return x;
  }

  // at: where these three planes' tables begin.
  template <int G, int W>
  [[gnu::always_inline]] static void add_three(const Bytes (&x)[3 * W], const uint8_t* const (&tables)[G], int64_t at,
                                               Bytes (&few)[G * W]) {
    Bytes places[4 * W];
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) {
      places[4 * w] = x[3 * w];
      places[4 * w + 1] = x[3 * w + 1];
      places[4 * w + 2] = x[3 * w + 2];
      places[4 * w + 3] = first_numbers(x[3 * w], x[3 * w + 1], x[3 * w + 2]);
    }
#pragma GCC unroll 4
    for (int i = 0; i < 4; ++i)
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) {
        const Bytes table = W == 1 ? Bytes::load(tables[g] + at + 64 * i) : held(Bytes::load(tables[g] + at + 64 * i));
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w)
          few[g * W + w] = few[g * W + w] + Bytes{_mm512_permutexvar_epi8(places[4 * w + i].v, table.v)};
      }
  }

  template <int G, int W, class Codes>
  static void sums(const Scan& s, const Codes& tile, int64_t first, int64_t last, int64_t q, ByteSums (&sums)[G][W]) {
    ByteSums total[G * W];
    const uint8_t* tables[G];
    for (int g = 0; g < G; ++g) tables[g] = s.screens[q + g].numbers;
    int64_t j = first, at = first / 3 * 256;
    for (; j + 6 <= last; j += 6, at += 512) {  // 6 * 36 < 256
      Bytes few[G * W];
#pragma GCC unroll 8
      for (int i = 0; i < G * W; ++i) few[i] = Bytes::zero();
#pragma GCC unroll 1
      for (int half = 0; half < 2; ++half) {
        Bytes x[3 * W];
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w)
#pragma GCC unroll 3
          for (int i = 0; i < 3; ++i) x[3 * w + i] = held(tile.load(j + 3 * half + i, w));
        add_three<G, W>(x, tables, at + 256 * half, few);
      }
#pragma GCC unroll 8
      for (int i = 0; i < G * W; ++i) total[i].add(few[i]);
    }
    for (; j < last; j += 3, at += 256) {
      Bytes x[3 * W], few[G * W];
#pragma GCC unroll 8
      for (int i = 0; i < G * W; ++i) few[i] = Bytes::zero();
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w)
#pragma GCC unroll 3
        for (int i = 0; i < 3; ++i) x[3 * w + i] = j + i < last ? tile.load(j + i, w) : Bytes::zero();
      add_three<G, W>(x, tables, at, few);
#pragma GCC unroll 8
      for (int i = 0; i < G * W; ++i) total[i].add(few[i]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) sums[g][w] = total[g * W + w];
  }
};
