// Screens: float tables rounded to 7 bits, with a proven bound of what that loses. Included inside a target region and an anonymous
// namespace by the scans of tables.

constexpr float kLevels = 127;               // of a rounded table entry: two of them add up to a byte
constexpr float kLargestScore = 1e37f;        // beyond, sums might overflow on the way and no bound would hold
constexpr float kSmallestStep = 1e-30f;       // below, entries are near float32's smallest numbers, where its roundings are not relative

constexpr int kLanes = 16;                    // entries handled side by side, so that compilers vectorise; both table sizes are multiples

inline float least(float (&x)[kLanes]) {
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) x[i] = x[i + half] < x[i] ? x[i + half] : x[i];
  return x[0];
}

inline float most(float (&x)[kLanes]) {
  for (int half = kLanes / 2; half > 0; half /= 2)
    for (int i = 0; i < half; ++i) x[i] = x[i + half] > x[i] ? x[i + half] : x[i];
  return x[0];
}

struct Range {
  float low, high;
  bool finite;
};

inline Range range_of(const float* table, int64_t entries) {
  float low[kLanes], high[kLanes], nothing[kLanes] = {};
  __builtin_memcpy(low, table, sizeof low);
  __builtin_memcpy(high, table, sizeof high);
  for (int64_t c = 0; c < entries; c += kLanes)
    for (int i = 0; i < kLanes; ++i) {
      const float x = table[c + i];
      low[i] = x < low[i] ? x : low[i];
      high[i] = x > high[i] ? x : high[i];
      nothing[i] += x - x;  // nan where x is infinite or nan
    }
  float sum = 0;
  for (const float x : nothing) sum += x;
  return {least(low), most(high), sum == 0};
}

// Rounds one table to `out`; returns the range of what that loses.
inline Range round_table(const float* table, int64_t entries, float low, float step, float inverse, uint8_t* out) {
  float over[kLanes] = {}, under[kLanes] = {};
  for (int64_t c = 0; c < entries; c += kLanes)
    for (int i = 0; i < kLanes; ++i) {
      const float above = table[c + i] - low;
      const float level = static_cast<float>(static_cast<int>(above * inverse + 0.5f));
      const float capped = level < kLevels ? level : kLevels;
      const float error = above - step * capped;
      out[c + i] = static_cast<uint8_t>(static_cast<int>(capped));
      over[i] = error > over[i] ? error : over[i];
      under[i] = error < under[i] ? error : under[i];
    }
  return {least(under), most(over), true};
}

template <int kEntries>
inline int64_t screen_bytes(const Scan& s) {
  return s.payload * (kEntries == 16 ? 2 : 1) * kEntries;
}

// Rounds query q's tables float[m][entries] to 7 bits at one common step, and bounds what that, float summation and the addition of
// the query's constant lose.
template <int kEntries>
inline Screen make_screen(const Scan& s, int64_t q, uint8_t* out) {
  const int64_t m = s.m;
  const float* tables = static_cast<const float*>(s.operand) + q * m * kEntries;
  Screen screen;
  screen.numbers = out;
  double widest = 0, magnitude = 0;
  for (int64_t j = 0; j < m; ++j) {
    const Range range = range_of(tables + j * kEntries, kEntries);
    const double largest = -range.low > range.high ? -range.low : range.high;
    if (!range.finite || largest > kLargestScore) return screen;
    __builtin_memcpy(out + j * kEntries, &range.low, sizeof(float));  // kept where the rounded table comes
    const double width = static_cast<double>(range.high) - range.low;
    widest = width > widest ? width : widest;
    screen.base += range.low;
    magnitude += largest;
  }
  const double largest_score = magnitude + __builtin_fabs(s.constant[q]);
  if (!(largest_score <= kLargestScore)) return screen;
  screen.step = widest > 0 ? widest / kLevels : 1;
  const float step = static_cast<float>(screen.step), inverse = static_cast<float>(1 / screen.step);
  if (!(step >= kSmallestStep)) return screen;
  for (int64_t j = 0; j < m; ++j) {
    float low;
    __builtin_memcpy(&low, out + j * kEntries, sizeof low);
    const Range lost = round_table(tables + j * kEntries, kEntries, low, step, inverse, out + j * kEntries);
    screen.high += lost.high;
    screen.low += lost.low;
  }
  // float32 rounds each of the m additions, and each of the few operations above per table, by at most 2^-24 of what they handle;
  // `step` as float differs from the double by as much, over at most kLevels steps a table; the constant may round different sums to one score
  const double span = kLevels * screen.step * m;
  const double rounding = 0x1p-24 * (static_cast<double>(m) + 8) * (magnitude + span) + 0x1p-23 * largest_score;
  screen.high += rounding;
  screen.low -= rounding;
  screen.extent = magnitude + span + screen.high - screen.low;
  screen.usable = screen.extent <= kLargestScore;
  return screen;
}
