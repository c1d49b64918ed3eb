// Screens: float tables rounded to bytes, with a proven bound of what that loses. Included inside a target region and an anonymous
// namespace by the scans of tables.
//
// The kernels average four bytes before they widen them: average(average(a, b), average(c, d)), where every average rounds up, is
// (a + b + c + d + e) / 4 with e = 0 .. 4. So four times the sum of such averages is at most 4 per average above the sum of the bytes.

// An entry is a whole number of 15 bits. Its upper 8 are summed for all rows, the lower 7 for the rows of blocks that pass.

constexpr int kFineBits = 7;
constexpr int kFiner = 1 << kFineBits;
constexpr float kLevels = 256 * kFiner - 1;   // of a rounded table entry
constexpr int64_t kAveraged = 4;              // tables
constexpr double kMostLost = 0.51;            // steps: half of one, and 2^-23 * kLevels for the product's roundings
constexpr float kLargestScore = 1e37f;        // beyond, sums might overflow on the way and no bound would hold
constexpr float kSmallestStep = 1e-30f;       // below, entries are near float32's smallest numbers, where its roundings are not relative

// The least and the largest entry of a table; `nothing` becomes no number where an entry is none, or infinite.
struct Range {
  float low, high;
};

inline Range range_of(const float* table, int64_t entries, Floats& nothing) {
  Floats low = Floats::load(table), high = low;
  for (int64_t c = 0; c < entries; c += Floats::kLanes) {
    const Floats x = Floats::load(table + c);
    low = smaller(low, x);
    high = larger(high, x);
    nothing = nothing + (x - x);
  }
  return {smallest_of(low), largest_of(high)};
}

// Rounds one table, the upper bits to `coarse`, the lower to `fine`, and, unless nullptr, both to `all`. What that loses is at most kMostLost
// steps of an entry.
template <int kEntries>
inline void round_table(const float* table, float low, float inverse, uint8_t* coarse, uint8_t* fine, uint16_t* all) {
  uint16_t numbers[kEntries];
  for (int c = 0; c < kEntries; ++c) {
    const float level = (table[c] - low) * inverse + 0.5f;
    numbers[c] = static_cast<uint16_t>(static_cast<int>(level < kLevels ? level : kLevels));
  }
  for (int c = 0; c < kEntries; ++c) coarse[c] = static_cast<uint8_t>(numbers[c] >> kFineBits);
  for (int c = 0; c < kEntries; ++c) fine[c] = static_cast<uint8_t>(numbers[c] & (kFiner - 1));
  if (all) __builtin_memcpy(all, numbers, sizeof numbers);
}

// Tables of a query's places, those of an unused last nibble included.
template <int kEntries>
inline int64_t places_of(const Scan& s) { return s.payload * (kEntries == 16 ? 2 : 1); }

// Where the lower bits of a query's tables are behind the upper ones.
template <int kEntries>
inline int64_t fine_offset(const Scan& s) { return places_of<kEntries>(s) * kEntries; }

template <int kEntries>
inline int64_t screen_bytes(const Scan& s) {  // a load of four tables may reach beyond the last of the lower bits
  return (kEntries == 16 ? 4 : 2) * fine_offset<kEntries>(s) + 64;
}

// Both together, uint16 [places][16], for single rows; where tables are small enough.
inline const uint16_t* all_bits(const Scan& s, const Screen& screen) {
  return reinterpret_cast<const uint16_t*>(screen.numbers + 2 * fine_offset<16>(s) + 64);
}

// Rounds query q's tables float[m][entries] at one common step, and bounds what that, the averages, float summation and the addition of
// the query's constant lose.
template <int kEntries>
inline Screen make_screen(const Scan& s, int64_t q, uint8_t* out) {
  const int64_t m = s.m;
  const float* tables = static_cast<const float*>(s.operand) + q * m * kEntries;
  uint8_t* fine = out + fine_offset<kEntries>(s);
  uint16_t* all = kEntries == 16 ? reinterpret_cast<uint16_t*>(out + 2 * fine_offset<16>(s) + 64) : nullptr;
  Screen screen;
  screen.numbers = out;
  Floats nothing = Floats::zero();
  double widest = 0, magnitude = 0, base = 0;
  for (int64_t j = 0; j < m; ++j) {
    const Range range = range_of(tables + j * kEntries, kEntries, nothing);
    const double largest = -range.low > range.high ? -range.low : range.high;
    __builtin_memcpy(out + j * kEntries, &range.low, sizeof(float));  // kept where the rounded table comes
    const double width = static_cast<double>(range.high) - range.low;
    widest = width > widest ? width : widest;
    base += range.low;
    magnitude += largest;
  }
  const double largest_score = magnitude + __builtin_fabs(s.constant[q]);
  float part[Floats::kLanes], not_finite = 0;
  nothing.store(part);
  for (const float x : part) not_finite += x;
  if (!(largest_score <= kLargestScore) || !(not_finite == 0)) return screen;
  const double exact_step = widest > 0 ? widest / kLevels : 1;
  const float inverse = static_cast<float>(1 / exact_step);
  if (!(exact_step >= kSmallestStep)) return screen;
  for (int64_t j = 0; j < m; ++j) {
    float low;
    __builtin_memcpy(&low, out + j * kEntries, sizeof low);
    round_table<kEntries>(tables + j * kEntries, low, inverse, out + j * kEntries, fine + j * kEntries, all ? all + j * kEntries : nullptr);
  }
  // float32 rounds each of the m additions, and each of the few operations above per table, by at most 2^-24 of what they handle;
  // the inverse step differs from the true one by as much, over at most kLevels steps a table; the constant may round different sums to one score
  const double span = kLevels * exact_step * static_cast<double>(m);
  const double rounding = 0x1p-24 * (static_cast<double>(m) + 8) * (magnitude + span) + 0x1p-23 * largest_score;
  const double lost = kMostLost * exact_step * static_cast<double>(m);
  screen.fine = {base, exact_step, -lost - rounding, lost + rounding};
  // the averages' sum A is that of the upper bits U by at most U / 4 + one for each average: 4 A - 4 averages <= U <= 4 A
  const int64_t averages = (places_of<kEntries>(s) + kAveraged - 1) / kAveraged;
  const double too_much = static_cast<double>(kFiner * kAveraged * averages);
  screen.coarse = {base, exact_step * kFiner * kAveraged, screen.fine.low - exact_step * too_much,
                   screen.fine.high + exact_step * static_cast<double>((kFiner - 1) * m)};
  screen.coarse.per_step = 1 / screen.coarse.step;
  screen.sure = screen.coarse.high;
  screen.extent = magnitude + 2 * span + screen.coarse.high - screen.coarse.low;
  screen.usable = screen.extent <= kLargestScore;
  return screen;
}
