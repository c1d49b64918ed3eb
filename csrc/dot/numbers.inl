// The query as whole numbers of 15 bits in two parts, and the levels as whole numbers of 8 bits, with a proven bound of what that loses.
// Included inside a target region and an anonymous namespace, after core/screen.inl; the region says how large the numbers may be:
//   kLargestNumber of a level; largest_factor(most) of a query's component where levels go up to `most`; kOrigin, which is
//   subtracted from levels before they are multiplied

constexpr int64_t kUnit = 32;  // dimensions that are unpacked together
constexpr int kRest = 128;     // the first part counts so many times

inline int64_t units_of(const Scan& s) {
  const int64_t places = s.trellis ? s.trellis->places : s.m;
  return places ? (places + kUnit - 1) / kUnit : 1;  // of nothing, one of zeros
}
inline int64_t part_bytes(const Scan& s) { return units_of(s) * kUnit; }
// Of a query's numbers, and of those that its label tables are.
inline int64_t row_bytes(const Scan& s) { return 2 * part_bytes(s) + s.labels * 256 * static_cast<int64_t>(sizeof(uint32_t)); }

// The numbers that levels are, at `step` from the lowest on; returns the largest error.
inline double number_levels(const float* levels, int count, double low, double step, uint8_t* numbers) {
  double error = 0;
  for (int c = 0; c < count; ++c) {
    const double number = __builtin_floor((levels[c] - low) / step + 0.5);
    const double lost = __builtin_fabs(levels[c] - low - step * number);
    numbers[c] = static_cast<uint8_t>(number);
    error = lost > error ? lost : error;
  }
  return error;
}

// out: fresh
inline void number_all(const Scan& s, Levels& out) {
  const int count = 1 << s.n_bits;
  float low = 0, high = 0;
  for (int c = 0; c < count; ++c) {
    const float x = s.given_levels ? s.given_levels[c] : static_cast<float>(c) - static_cast<float>(count - 1) * 0.5f;
    out.level[c] = x;
    const float size = __builtin_fabsf(x);
    if (!(size <= out.largest)) out.largest = size <= kLargestScore ? size : __builtin_inff();
    if (c == 0 || x < low) low = x;
    if (c == 0 || x > high) high = x;
  }
  if (!(out.largest <= kLargestScore)) return;
  out.base = low;
  if (!s.given_levels) {
    for (int c = 0; c < count; ++c) out.number[c] = static_cast<uint8_t>(c);
    out.most = count - 1;
    return;
  }
  const double span = static_cast<double>(high) - low;
  if (!(span > 0)) return;
  // the count of steps for which the levels are nearest to whole numbers; levels that are multiples of one number lose nothing
  out.error = span;
  uint8_t numbers[256] = {};
  const int fewest = s.n_bits <= 5 ? (kLargestNumber + 1) / 2 : kLargestNumber;
  for (int most = kLargestNumber; most >= fewest; --most) {
    const double step = span / most, error = number_levels(out.level, count, low, step, numbers);
    if (!(error < out.error)) continue;
    __builtin_memcpy(out.number, numbers, sizeof numbers);
    out.step = step;
    out.error = error;
    out.most = most;
    if (error <= 0x1p-20 * step) break;
  }
}

// Numbers that are all even are halved: what is below 128 takes less to square and to look up.
inline void halve_even(Levels& out) {
  const auto odd = [&] {
    int any = out.most;
    for (int c = 0; c < out.count; ++c) any |= out.number[c];
    return any & 1;
  };
  while (out.most > 127 && !odd()) {
    for (int c = 0; c < out.count; ++c) out.number[c] /= 2;
    out.most /= 2;
    out.step *= 2;
  }
}

inline void prepare_levels(const Scan& s, Levels& out) {
  out.count = 1 << s.n_bits;
  number_all(s, out);
  halve_even(out);
  bool taken[256] = {};
  for (int c = 0; c < out.count; ++c) {
    const int number = out.number[c];
    if (taken[number] && out.by_number[number] != out.level[c]) out.told_apart = false;
    taken[number] = true;
    out.by_number[number] = out.level[c];
    out.label[number] = static_cast<uint8_t>(c);
  }
}

// What is summed over a row's components, side by side as vectors take them: of the row, and of its parts as whole numbers.
struct RowSums {
  static constexpr int kSide = 16;
  alignas(64) float largest[kSide] = {};
  alignas(64) double total[kSide] = {}, sum[kSide] = {}, square[kSide] = {}, nothing[kSide] = {};
  RowSums() {}

  void add(const float* x) {
    for (int i = 0; i < kSide; ++i) {
      const double y = x[i], size = __builtin_fabs(y);
      largest[i] = __builtin_fabsf(x[i]) > largest[i] ? __builtin_fabsf(x[i]) : largest[i];
      nothing[i] += y - y;  // not a number where one is infinite or none
      total[i] += size;
      sum[i] += y;
      square[i] += y * y;
    }
  }
};

struct PartSums {
  static constexpr int kSide = 16;
  alignas(64) double lost[kSide] = {}, lost_rest[kSide] = {}, lost_square[kSide] = {};  // by both parts; by the first alone
  alignas(64) int32_t negative[2][kSide] = {}, absolute[2][kSide] = {};                 // of the first part, of the second
  PartSums() {}

  // Rounds to multiples of `factor` and takes these apart.
  void add(const float* x, double factor, double inverse, int32_t* front, int32_t* back) {
    for (int i = 0; i < kSide; ++i) {
      const double number = __builtin_floor(x[i] * inverse + 0.5);
      const int32_t all = static_cast<int32_t>(number);
      front[i] = (all + kRest / 2) >> 7;
      back[i] = all - kRest * front[i];  // -64 to 63
      const double without = x[i] - factor * static_cast<double>(kRest * front[i]);
      lost[i] += __builtin_fabs(x[i] - factor * number);
      lost_rest[i] += __builtin_fabs(without);
      lost_square[i] += without * without;
    }
    count(front, negative[0], absolute[0]);
    count(back, negative[1], absolute[1]);
  }

 private:
  static void count(const int32_t* x, int32_t* below, int32_t* sizes) {
    for (int i = 0; i < kSide; ++i) {
      below[i] += x[i] < 0 ? -x[i] : 0;
      sizes[i] += x[i] < 0 ? -x[i] : x[i];
    }
  }
};

template <class Number>
inline double all_of(const Number (&side)[16]) {
  double all = 0;
  for (const Number x : side) all += static_cast<double>(x);
  return all;
}

// Components [t, t + kUnit) of a row of m, zeros behind its end; `space` where they do not lie together.
inline const float* unit_of_row(const float* row, int64_t m, int64_t t, float (&space)[kUnit]) {
  if (t + kUnit <= m) return row + t;
  for (int64_t i = 0; i < kUnit; ++i) space[i] = t + i < m ? row[t + i] : 0;
  return space;
}

// A query's label tables, before they are numbers: the absolute values that entries reach, summed; not a number where one is none or infinite.
inline double largest_labels(const Scan& s, int64_t q) {
  const float* table = s.label_tables + q * s.labels * 256;
  double total = 0;
  for (int64_t v = 0; v < s.labels; ++v, table += 256) {
    float most = 0;
    double nothing = 0;
    for (int c = 0; c < 256; ++c) {
      const float size = __builtin_fabsf(table[c]);
      most = size > most ? size : most;
      nothing += static_cast<double>(table[c]) - table[c];
    }
    total += most + nothing;
  }
  return total;
}

// And as multiples of `step` above each table's least entry; returns what these least ones are together. `most`: what rows can add up to;
// where that is too much for 32 bits, the numbers are not written.
inline double number_labels(const Scan& s, int64_t q, double step, uint32_t* numbers, double& most) {
  const float* table = s.label_tables + q * s.labels * 256;
  double base = 0;
  most = 0;
  for (int64_t v = 0; v < s.labels; ++v, table += 256, numbers += 256) {
    double low = table[0], high = table[0];
    for (int c = 1; c < 256; ++c) {
      low = table[c] < low ? table[c] : low;
      high = table[c] > high ? table[c] : high;
    }
    base += low;
    most += (high - low) / step + 1;
    if (!(most < 0x1p31)) {
      most = 0x1p31;
      return base;
    }
    for (int c = 0; c < 256; ++c) numbers[c] = static_cast<uint32_t>((table[c] - low) / step + 0.5);
  }
  return base;
}

// Query q's row as whole numbers: component t = factor * (kRest * first + rest) + what is lost. The first parts alone are a row of 8 bits.
// Dimension 32 u + 8 i + r stands at place 32 u + 4 r + i of each part.
inline Screen screen_row(const Scan& s, int64_t q, uint8_t* out) {
  const Levels& levels = *s.levels;
  const float* row = static_cast<const float*>(s.operand) + q * s.m;
  Screen screen;
  screen.numbers = out;
  alignas(64) float space[kUnit];
  RowSums sums;
  for (int64_t t = 0; t < s.m; t += kUnit) {
    const float* x = unit_of_row(row, s.m, t, space);
    for (int i = 0; i < kUnit; i += RowSums::kSide) sums.add(x + i);
  }
  float largest = 0;
  for (const float x : sums.largest) largest = x > largest ? x : largest;
  const double nothing = all_of(sums.nothing), total = all_of(sums.total), sum = all_of(sums.sum), square = all_of(sums.square);
  const double label_sizes = largest_labels(s, q), magnitude = total * levels.largest + label_sizes;
  screen.square = s.distances ? square : 0;
  const double largest_score = magnitude + __builtin_fabs(s.constant[q]);
  if (!(nothing == 0) || !(largest_score + screen.square <= kLargestScore)) return screen;
  if (s.distances && s.m * 255 * 255 >= int64_t{1} << 32) return screen;  // a row's own squares would overflow
  // so large that the first part, the number to the nearest kRest, stays within what a factor may be
  const int finest = largest_factor(levels.most) * kRest;
  const double factor = largest > 0 ? largest / static_cast<double>(finest) : 1, inverse = 1 / factor;
  if (!(factor * levels.step >= kSmallestStep) || !(factor >= kSmallestStep)) return screen;
  int8_t* parts = reinterpret_cast<int8_t*>(out);
  const int64_t size = part_bytes(s);
  PartSums parted;
  for (int64_t t = 0; t < s.m; t += kUnit) {
    alignas(64) int32_t front[kUnit], back[kUnit];
    const float* x = unit_of_row(row, s.m, t, space);
    for (int i = 0; i < kUnit; i += PartSums::kSide) parted.add(x + i, factor, inverse, front + i, back + i);
    for (int64_t i = 0; i < kUnit && t + i < s.m; ++i) {
      const int64_t place = s.trellis ? s.trellis->place_of[t + i] : t + i % 8 * 4 + i / 8;
      parts[place] = static_cast<int8_t>(front[i]);
      parts[size + place] = static_cast<int8_t>(back[i]);
    }
  }
  const double lost = all_of(parted.lost), lost_rest = all_of(parted.lost_rest), lost_square = all_of(parted.lost_square);
  const int64_t first_negative = static_cast<int64_t>(all_of(parted.negative[0])), rest_negative = static_cast<int64_t>(all_of(parted.negative[1]));
  const int64_t first_absolute = static_cast<int64_t>(all_of(parted.absolute[0])), rest_absolute = static_cast<int64_t>(all_of(parted.absolute[1]));
  const int64_t first_sum = first_absolute - 2 * first_negative, rest_sum = rest_absolute - 2 * rest_negative;
  double label_numbers = 0;
  const double label_base =
      number_labels(s, q, factor * levels.step * kRest, reinterpret_cast<uint32_t*>(out + 2 * size), label_numbers);
  if (static_cast<double>(first_absolute) * levels.most + label_numbers >= 0x1p31 || rest_absolute * levels.most >= int64_t{1} << 31) return screen;
  // Q = offset + sum of numbers * levels, for both parts
  const int64_t offset = first_negative * levels.most, rest_offset = rest_negative * levels.most;
  screen.start = static_cast<uint32_t>(offset + kOrigin * first_sum);
  screen.rest_start = static_cast<uint32_t>(rest_offset + kOrigin * rest_sum);
  // row = factor number + lost, level = middle + step (number - most / 2) + error: what their product is beside step * Q
  const double half = levels.most * 0.5, middle = levels.base + levels.step * half, fine_step = factor * levels.step;
  const double coarse_step = fine_step * kRest;
  screen.fine.step = fine_step;
  screen.fine.base = label_base + middle * sum - fine_step * (half * static_cast<double>(kRest * first_sum + rest_sum) +
                                                static_cast<double>(kRest * offset + rest_offset));
  screen.coarse.step = coarse_step;
  screen.coarse.per_step = 1 / coarse_step;
  screen.coarse.base = label_base + middle * sum - coarse_step * (half * static_cast<double>(first_sum) + static_cast<double>(offset));
  // float32 rounds d / 16 + 4 operations of a chain, float64 what is computed here
  const double span = coarse_step * (static_cast<double>(first_absolute + s.m) * levels.most + label_numbers);
  const double label_error = 0.5 * (1 + 0x1p-20) * coarse_step * static_cast<double>(s.labels);
  const double operations = static_cast<double>(s.m) / 16 + 8 + static_cast<double>(s.labels);
  const double rounding = label_error + 0x1p-24 * operations * magnitude + 0x1p-40 * (magnitude + span) + 0x1p-23 * largest_score;
  screen.sure = levels.error * total + rounding;
  screen.spread = levels.step * __builtin_sqrt(lost_square) * (1 + 0x1p-40);
  screen.fine.high = levels.step * half * lost + screen.sure;
  screen.coarse.high = levels.step * half * lost_rest + screen.sure;
  screen.fine.low = -screen.fine.high;
  screen.coarse.low = -screen.coarse.high;
  screen.extent = magnitude + 2 * span + __builtin_fabs(screen.coarse.base) + __builtin_fabs(screen.fine.base) + 2 * screen.coarse.high;
  screen.usable = screen.extent <= kLargestScore;
  return screen;
}
