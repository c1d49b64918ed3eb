// Numbers of 1 and 2 bits fill nibbles, of which a rounded table knows all that there are: four or two dimensions at a look-up, by the kernel
// of `lut4`. The rows that pass are summed as `dot` defines it. Included after dot/dot.inl and lut4/lut4.inl.

// Two dimensions a look-up are no faster than multiplications where many queries share the unpacking.
inline bool by_tables(const Scan& s) { return !s.distances && (s.n_bits == 1 || (s.n_bits == 2 && s.nq < kManyQueries)); }

// A query's tables in float come behind its rounded ones.
inline int64_t float_tables_at(const Scan& s) { return (screen_bytes<16>(s) + 63) / 64 * 64; }

inline int64_t screen_dot_bytes(const Scan& s) {
  return by_tables(s) ? float_tables_at(s) + places_of<16>(s) * 16 * static_cast<int64_t>(sizeof(float)) : row_bytes(s);
}

// Table 2 j is of the low half of byte j, which holds the later dimensions. Rows are 0 behind their end.
template <int kBits>
inline void fill_tables(const Scan& s, const float* row, float* tables) {
  constexpr int together = 4 / kBits;
  double level[together][16];  // of each number in a nibble
  for (int i = 0; i < together; ++i)
    for (int c = 0; c < 16; ++c) level[i][c] = s.levels->level[c >> (4 - kBits * (i + 1)) & ((1 << kBits) - 1)];
  for (int64_t place = 0; place < places_of<16>(s); ++place, tables += 16) {
    const int64_t first = (place ^ 1) * together;
    double sums[16] = {};
#pragma GCC unroll 4
    for (int i = 0; i < together; ++i) {
      const double x = first + i < s.m ? row[first + i] : 0;
      for (int c = 0; c < 16; ++c) sums[c] += x * level[i][c];
    }
    for (int c = 0; c < 16; ++c) tables[c] = static_cast<float>(sums[c]);
  }
}

Screen screen_dot(const Scan& s, int64_t q, uint8_t* out) {
  if (!by_tables(s)) return screen_row(s, q, out);
  const float* row = static_cast<const float*>(s.operand) + q * s.m;
  float* tables = reinterpret_cast<float*>(out + float_tables_at(s));
  if (s.n_bits == 1)
    fill_tables<1>(s, row, tables);
  else
    fill_tables<2>(s, row, tables);
  Scan looked_up = s;
  looked_up.operand = tables;
  looked_up.constant = s.constant + q;
  looked_up.m = places_of<16>(s);
  looked_up.entries = 16;
  Screen screen = make_screen<16>(looked_up, 0, out);
  // what the chains of `dot` round, and the tables' entries, instead of additions of entries
  double total = 0;
  for (int64_t t = 0; t < s.m; ++t) total += __builtin_fabsf(row[t]);
  const double magnitude = total * s.levels->largest, rounding = 0x1p-24 * (static_cast<double>(s.m) / 16 + 16) * magnitude;
  Line* const lines[2] = {&screen.fine, &screen.coarse};
  for (Line* line : lines) {
    line->low -= rounding;
    line->high += rounding;
  }
  screen.sure += rounding;
  screen.extent += magnitude + 4 * rounding;
  screen.usable = screen.usable && screen.extent <= kLargestScore;
  return screen;
}

struct NumberTables : NibbleTables {
  using Exact = NumberSums;
};

void scan_dot(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  if (by_tables(s)) return scan_tables<NumberTables>(s, q0, q1, b0, b1, collectors);
  scan_products(s, q0, q1, b0, b1, collectors);
}
