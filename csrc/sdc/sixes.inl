// `sdc` by tables of 64 entries (vpermb), for numbers of 2 bits: three of them a look-up. It takes the lowest six bits of its index, so the last
// three numbers of a byte need no work, and the first numbers of three bytes are put together. Included after sdc/tables.inl.

struct Sixes {
  static constexpr int64_t kPlanes = 65535 / 36 / 3 * 3;  // that 16 bits hold the sums of
  static constexpr int kQueries = 4, kTile = 1, kTileAlone = kTileOfOneQuery;

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

  struct Table {
    __m512i v;
    explicit Table(const uint8_t* p) : v(_mm512_loadu_si512(p)) {}
    [[gnu::always_inline]] Bytes lookup(Bytes places) const { return {_mm512_permutexvar_epi8(places.v, v)}; }
  };

  // The highest two bits of three bytes.
  [[gnu::always_inline]] static Bytes first_numbers(Bytes a, Bytes b, Bytes c) {
    const __m512i ab = _mm512_ternarylogic_epi32(_mm512_set1_epi8(0x03), _mm512_srli_epi16(a.v, 6), _mm512_srli_epi16(b.v, 4), 0xCA);
    return {_mm512_ternarylogic_epi32(_mm512_set1_epi8(0x0F), ab, _mm512_srli_epi16(c.v, 2), 0xCA)};
  }

  template <int G, int W>
  [[gnu::always_inline]] static void add_three(const Bytes (&x)[3 * W], const uint8_t* const (&tables)[G], int64_t j, Bytes (&few)[G * W]) {
    Bytes firsts[W];
#pragma GCC unroll 4
    for (int w = 0; w < W; ++w) firsts[w] = first_numbers(x[3 * w], x[3 * w + 1], x[3 * w + 2]);
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g) {
      const uint8_t* at = tables[g] + j / 3 * 256;
      const Table one(at), two(at + 64), three(at + 128), all(at + 192);
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) {
        const Bytes a = one.lookup(x[3 * w]) + two.lookup(x[3 * w + 1]), b = three.lookup(x[3 * w + 2]) + all.lookup(firsts[w]);
        few[g * W + w] = few[g * W + w] + (a + b);
      }
    }
  }

  template <int G, int W, class Codes>
  static void sums(const Scan& s, const Codes& tile, int64_t first, int64_t last, int64_t q, ByteSums (&sums)[G][W]) {
    ByteSums total[G * W];
    const uint8_t* tables[G];
    for (int g = 0; g < G; ++g) tables[g] = s.screens[q + g].numbers;
    int64_t j = first;
    for (; j + 6 <= last; j += 6) {  // 6 * 36 < 256
      Bytes few[G * W];
#pragma GCC unroll 8
      for (int i = 0; i < G * W; ++i) few[i] = Bytes::zero();
#pragma GCC unroll 2
      for (int half = 0; half < 6; half += 3) {
        Bytes x[3 * W];
#pragma GCC unroll 4
        for (int w = 0; w < W; ++w)
#pragma GCC unroll 3
          for (int i = 0; i < 3; ++i) x[3 * w + i] = tile.load(j + half + i, w);
        add_three<G, W>(x, tables, j + half, few);
      }
#pragma GCC unroll 8
      for (int i = 0; i < G * W; ++i) total[i].add(few[i]);
    }
    for (; j < last; j += 3) {
      Bytes x[3 * W], few[G * W];
      for (int i = 0; i < G * W; ++i) few[i] = Bytes::zero();
      for (int w = 0; w < W; ++w)
        for (int i = 0; i < 3; ++i) x[3 * w + i] = j + i < last ? tile.load(j + i, w) : Bytes::zero();
      add_three<G, W>(x, tables, j, few);
      for (int i = 0; i < G * W; ++i) total[i].add(few[i]);
    }
#pragma GCC unroll 4
    for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
      for (int w = 0; w < W; ++w) sums[g][w] = total[g * W + w];
  }
};
