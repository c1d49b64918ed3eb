// `sdc` of 4 bits by products, one query: the upper nibbles stay where they are, 16 times what they count, and are summed by
// themselves. Several queries share the shift. Included after sdc/products.inl.

struct NibbleProducts : Products<4> {
  template <int G, class Codes>
  static void numbers(const Scan& s, const Codes& tile, int64_t q, int row, uint32_t (*out)[kBlock]) {
    if constexpr (G == 1)
      number_one(s, tile, q, out[0] + row);
    else
      Products<4>::numbers<G>(s, tile, q, row, out);
  }

 private:
  template <class Codes>
  static void number_one(const Scan& s, const Codes& tile, int64_t q, uint32_t* out) {
    const int8_t* numbers = reinterpret_cast<const int8_t*>(s.screens[q].numbers);
    Quads low[4], high[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) low[k] = high[k] = Quads::zero();
    int64_t j = 0;
    for (; j + 4 <= s.payload; j += 4, numbers += 8) {
      Bytes x[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) x[i] = tile.load(j + i, 0);
      multiply(x, numbers, low, high);
    }
    if (j < s.payload) {
      Bytes x[4];
#pragma GCC unroll 4
      for (int i = 0; i < 4; ++i) x[i] = j + i < s.payload ? tile.load(j + i, 0) : Bytes::zero();
      multiply(x, numbers, low, high);
    }
    // another array, for what is passed by reference does not stay in registers
    const Quads all[4] = {joined(low[0], high[0]), joined(low[1], high[1]), joined(low[2], high[2]), joined(low[3], high[3])};
    Multiplied::finish(all, s.screens[q].start, true, out);
  }

  static Quads joined(Quads low, Quads high) { return {_mm512_add_epi32(low.v, _mm512_srai_epi32(high.v, 4))}; }

  [[gnu::always_inline]] static void multiply(Bytes (&x)[4], const int8_t* numbers, Quads (&low)[4], Quads (&high)[4]) {
    interleave(x);
    const Four of_low(numbers), of_high(numbers + 4);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) {
      low[k].add(x[k] & Bytes::set1(0x0F), of_low);
      high[k].add(x[k] & Bytes::set1(0xF0), of_high);
    }
  }
};
