// `dot`: codes that are numbers of 1 to 8 bits. Included after dot/dot.inl.

// Codes whose numbers have kBits, which Table makes levels' numbers.
template <int kBits, class Table>
struct PackedNumbers {
  static constexpr bool kFromRegisters = kPlanes[kBits][1] == 0;
  using Exact = NumberSums;

  static void unpack(const Scan& s, const uint8_t* block, int64_t u0, int64_t u1, uint8_t* tile) {
    unpack_units<kBits, Table>(s, block + s.head * kBlock, u0, u1, tile);
  }
  static void multiply(const Scan& s, const uint8_t* block, int64_t ahead, const Part& part) {
    if (from_memory(s))
      multiply_packed<kPlanes[kBits][0], true, Table>(s, block, ahead, part);
    else
      multiply_packed<kPlanes[kBits][0], false, Table>(s, block, ahead, part);
  }
};

template <int kBits, class Table>
inline void scan_numbers(const Scan& s, int64_t q, int count, int64_t b0, int64_t b1, Collector* collectors) {
  Numbers<PackedNumbers<kBits, Table>> numbers(s);
  numbers.scan(s, q, count, b0, b1, collectors);
}

template <int kBits>
inline void scan_bits(const Scan& s, int64_t q, int count, int64_t b0, int64_t b1, Collector* collectors) {
  if (s.given_levels)
    scan_numbers<kBits, LevelTable<kBits>>(s, q, count, b0, b1, collectors);
  else
    scan_numbers<kBits, AsTheyAre>(s, q, count, b0, b1, collectors);
}

inline void scan_products(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  for (int64_t q = q0; q < q1; q += kTogether) {
    const int count = static_cast<int>(q1 - q < kTogether ? q1 - q : kTogether);
    Collector* mine = collectors + (q - q0);
    switch (s.n_bits) {
      case 1: scan_bits<1>(s, q, count, b0, b1, mine); break;
      case 2: scan_bits<2>(s, q, count, b0, b1, mine); break;
      case 3: scan_bits<3>(s, q, count, b0, b1, mine); break;
      case 4: scan_bits<4>(s, q, count, b0, b1, mine); break;
      case 5: scan_bits<5>(s, q, count, b0, b1, mine); break;
      case 6: scan_bits<6>(s, q, count, b0, b1, mine); break;
      case 7: scan_bits<7>(s, q, count, b0, b1, mine); break;
      default: scan_bits<8>(s, q, count, b0, b1, mine); break;
    }
  }
}
