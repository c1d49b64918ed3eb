// Bounds of scores from whole numbers, and which rows they let through. Included inside a target region and an anonymous namespace, after
// core/scan.inl.

constexpr int kFewRows = 4;  // that are refined one by one, for the whole block takes longer

// A block's factors, for bounds: the bias between two numbers, already widened by what roundings may lose.
struct BlockFactors {
  alignas(64) float scale[kBlock], bias[kBlock], least_bias[kBlock];
  float largest_scale, largest_bias;

  // For score = sum * scale + bias + constant.
  BlockFactors(const Scan& s, const uint8_t* block) {
    factors_of(s.scale, block, scale);
    if (s.bias.kind == Factor::none)
      for (int r = 0; r < kBlock; ++r) bias[r] = 0;
    else
      factors_of(s.bias, block, bias);
    __builtin_memcpy(least_bias, bias, sizeof bias);
    widen(kSlack);
  }

  // For score = -|row|^2 + 2 stretch <row, levels> - stretch^2 |levels|^2 + constant, with |levels|^2 between `least` and `most`.
  BlockFactors(const Scan& s, const uint8_t* block, const double* least, const double* most) {
    factors_of(s.stretch, block, scale);
    for (int r = 0; r < kBlock; ++r) {
      const double square = static_cast<double>(scale[r]) * scale[r];  // which may be far below what float has
      bias[r] = static_cast<float>(-square * least[r]);
      least_bias[r] = static_cast<float>(-square * most[r]);
      scale[r] = 2 * scale[r];
    }
    widen(static_cast<float>(slack_of(s)));
  }

  static constexpr float kSlack = 32 * 0x1p-24f;

  // What roundings may lose of squares: those of `kSlack`, and those of the definition's chains of m / 16 and 4 additions, in which a
  // sum of squared differences is at most twice the two squares.
  static double slack_of(const Scan& s) { return kSlack + (s.distances ? 0x1p-24 * (static_cast<double>(s.m) / 8 + 20) : 0); }

  // And what they may lose among float32's smallest numbers, where they are absolute.
  static double least_slack_of(const Scan& s) { return 0x1p-149 * (s.distances ? static_cast<double>(s.m) + 16 : 6); }

 private:
  void widen(float slack) {
    largest_scale = largest(scale);
    const float one = largest(bias), other = largest(least_bias);
    largest_bias = one > other || one != one ? one : other;
    for (int r = 0; r < kBlock; ++r) {
      const float lost = slack * __builtin_fabsf(least_bias[r]);
      const float lost_too = slack * __builtin_fabsf(bias[r]);
      const float more = lost > lost_too ? lost : lost_too;
      bias[r] = bias[r] + more;
      least_bias[r] = least_bias[r] - more;
    }
  }

  // The largest absolute value, not a number if one is not; absolute floats are ordered as their bits are.
  static float largest(const float* x) {
    alignas(64) uint32_t bits[kBlock];
    __builtin_memcpy(bits, x, sizeof bits);
    uint32_t most = 0;
    for (int r = 0; r < kBlock; ++r) {
      const uint32_t absolute = bits[r] & 0x7fffffffu;
      most = absolute > most ? absolute : most;
    }
    float out;
    __builtin_memcpy(&out, &most, sizeof out);
    return out;
  }
};

// A row's share of them.
struct RowFactors {
  float scale, bias, least_bias;

  RowFactors(const BlockFactors& f, int r) : scale(f.scale[r]), bias(f.bias[r]), least_bias(f.least_bias[r]) {}

  // Without those of the other rows; as BlockFactors has them.
  RowFactors(const Scan& s, const uint8_t* block, int r) : scale(factor_of(s.scale, block, r)), bias(0), least_bias(0) {
    if (s.bias.kind == Factor::none) return;
    const float stored = factor_of(s.bias, block, r), lost = BlockFactors::kSlack * __builtin_fabsf(stored);
    bias = stored + lost;
    least_bias = stored - lost;
  }
};

struct Bounds {
  float low, high;
};

constexpr double kRoundings = 12 * 0x1p-24;  // relative: the score's three, and those to float here

// Between what a row's score lies, from its whole number on `line` and its block's factors.
inline Bounds bounds_of(const Scan& s, const Screen& screen, const Line& line, const RowFactors& factors, double number, float constant) {
  constexpr double kNearOverflow = 1e38;  // where float32 may have given inf, or a product that is no number
  if (!screen.usable) return {-__builtin_inff(), __builtin_inff()};
  const double middle = line.base + line.step * number;
  const double scale = factors.scale, added = constant - screen.square;
  const double one = scale * (middle + line.low), other = scale * (middle + line.high);
  const double sizes = __builtin_fabs(scale) * screen.extent + __builtin_fabs(constant);
  const double all = sizes + screen.square + __builtin_fabs(factors.bias) + __builtin_fabs(factors.least_bias);
  if (!(all < kNearOverflow)) return {-__builtin_inff(), __builtin_inff()};
  const double slack = kRoundings * all + BlockFactors::slack_of(s) * screen.square + BlockFactors::least_slack_of(s);
  const double low = (one < other ? one : other) + factors.least_bias + added - slack;
  const double high = (one < other ? other : one) + factors.bias + added + slack;
  return {static_cast<float>(low), static_cast<float>(high)};
}

// Bit r: row r's upper bound reaches the bar. numbers: uint32[64] below 2^31, on `line`.
inline uint64_t reach(const Scan& s, const Screen& screen, const Line& line, const BlockFactors& f, float bar, const uint32_t* numbers,
                      float constant) {
  if (!screen.usable || bar == -__builtin_inff()) return ~uint64_t{0};
  const double sizes =
      static_cast<double>(f.largest_scale) * screen.extent + f.largest_bias + __builtin_fabs(constant) + screen.square;
  if (!(sizes < 1e37)) {
    uint64_t pass = 0;
    for (int r = 0; r < kBlock; ++r)
      pass |= static_cast<uint64_t>(!(bounds_of(s, screen, line, RowFactors(f, r), numbers[r], constant).high < bar)) << r;
    return pass;
  }
  // bounds_of in float32: its roundings, here and of the score, are each at most 2^-24 of what `kSlack` is a part of
  const double slack = BlockFactors::kSlack * screen.extent;
  const float high = static_cast<float>(line.base + line.high + slack), low = static_cast<float>(line.base + line.low - slack);
  const float step = static_cast<float>(line.step);
  const double need = static_cast<double>(bar) - constant + screen.square;
  const float wanted = static_cast<float>(need - BlockFactors::kSlack * (__builtin_fabs(constant) + __builtin_fabs(bar)) -
                                          BlockFactors::slack_of(s) * screen.square - BlockFactors::least_slack_of(s) - 0x1p-130);
  alignas(64) float reached[kBlock];
  for (int r = 0; r < kBlock; ++r) {
    const float above = step * static_cast<float>(static_cast<int32_t>(numbers[r]));
    const float one = f.scale[r] * (above + high), other = f.scale[r] * (above + low);
    reached[r] = (one > other ? one : other) + f.bias[r];
  }
  return not_below(reached, wanted);
}

// Between what a block's factors are, so that one whole number rules most blocks out.
struct FactorRange {
  float least_scale, largest_scale, largest_bias;
  double per_least, per_largest;  // one by the scales

  // Of factors as numbers; biases are widened by `slack` here, 0 where they are already.
  FactorRange(const float* scale, const float* bias, float slack) {
    float least[kPart], largest[kPart], above[kPart];
    for (int i = 0; i < kPart; ++i) least[i] = __builtin_inff();
    for (int i = 0; i < kPart; ++i) largest[i] = above[i] = -__builtin_inff();
    for (int r = 0; r < kBlock; r += kPart)
      for (int i = 0; i < kPart; ++i) {
        const float x = scale[r + i], y = slack > 0 ? bias[r + i] + slack * __builtin_fabsf(bias[r + i]) : bias[r + i];  // 0 * inf is no number
        least[i] = x < least[i] ? x : least[i];
        largest[i] = x > largest[i] ? x : largest[i];
        above[i] = y > above[i] ? y : above[i];
      }
    for (int half = kPart / 2; half > 0; half /= 2)
      for (int i = 0; i < half; ++i) {
        least[i] = least[i + half] < least[i] ? least[i + half] : least[i];
        largest[i] = largest[i + half] > largest[i] ? largest[i + half] : largest[i];
        above[i] = above[i + half] > above[i] ? above[i + half] : above[i];
      }
    least_scale = least[0];
    largest_scale = largest[0];
    largest_bias = above[0];
    per_least = 1 / static_cast<double>(least_scale);
    per_largest = 1 / static_cast<double>(largest_scale);
  }

  // Of scores that are sums and a constant.
  FactorRange() : least_scale(1), largest_scale(1), largest_bias(0), per_least(1), per_largest(1) {}

 private:
  static constexpr int kPart = 16;
};

// The least whole numbers with which rows of a block can reach the bars, for up to kMost queries side by side: in arrays, so that the region's
// widest registers compute them. As in reach().
template <int kMost>
struct Floors {
  alignas(64) uint32_t floor[kMost];  // below 2^31; rows below it cannot enter

  Floors() {}

  void start(const Scan& s, int64_t q0, int count, const Collector* collectors) {
    slack = BlockFactors::slack_of(s);
    least_slack = BlockFactors::least_slack_of(s) + 0x1p-130;
    for (int g = 0; g < count; ++g) {
      const Screen& screen = s.screens[q0 + g];
      const double constant = s.constant[q0 + g];
      extent[g] = screen.extent;
      added[g] = __builtin_fabs(constant) + screen.square;
      offset[g] = BlockFactors::kSlack * screen.extent + screen.coarse.base;
      high[g] = screen.coarse.high;
      sure[g] = screen.sure;
      spread[g] = screen.spread;
      per_step[g] = screen.coarse.per_step;
      floor[g] = 0;
      raise(s, q0 + g, g, collectors[g].bar());
    }
  }

  // Query q's bar, of which the scores are wanted that reach it.
  void raise(const Scan& s, int64_t q, int g, float bar) {
    const Screen& screen = s.screens[q];
    const double constant = s.constant[q];
    wanted[g] = !screen.usable ? -__builtin_inf()
                               : bar - constant + screen.square -
                                     BlockFactors::kSlack * (__builtin_fabs(constant) + __builtin_fabs(static_cast<double>(bar))) -
                                     slack * screen.square - least_slack;
  }

  // For a block whose factors are in `range` and of which no row is farther from the middle level than `distance`, where that matters.
  void compute(const FactorRange& range, double distance, int count) {
    if (!(range.least_scale > 0)) {  // nothing can be said
      for (int g = 0; g < count; ++g) floor[g] = 0;
      return;
    }
    const double largest_scale = range.largest_scale, largest_bias = range.largest_bias, bias = __builtin_fabs(largest_bias);
    const double per_least = range.per_least, per_largest = range.per_largest;
    for (int g = 0; g < count; ++g) {
      const double error = sure[g] + spread[g] * distance, most = error < high[g] ? error : high[g];
      const double need = wanted[g] - largest_bias, sum = need * (need > 0 ? per_largest : per_least) - offset[g];
      const double number = (sum - most) * per_step[g];
      const double sizes = largest_scale * extent[g] + bias + added[g];
      const double within = number < kMostNumber ? number : kMostNumber;
      floor[g] = static_cast<uint32_t>(static_cast<int32_t>(number > 0 && sizes < 1e37 ? within : 0));
    }
  }

 private:
  static constexpr double kMostNumber = 2147483000;
  alignas(64) double wanted[kMost], extent[kMost], added[kMost], offset[kMost], high[kMost], sure[kMost], spread[kMost], per_step[kMost];
  double slack, least_slack;
};

// Makes room where candidates get too many, by exact sums where nothing else helps.
template <class Exact>
inline void make_room(const Scan& s, int64_t q, Collector& collector) {
  Reservoir& reservoir = collector.reservoir;
  if (reservoir.size >= reservoir.limit && !reservoir.make_room()) settle<Exact>(s, q, collector);
}

// Where score = sum + constant: which coarse numbers can enter, and what fine ones say of the score.
struct SumsWanted {
  uint32_t floor;
  float bar;
  double high, per_step;              // of the coarse
  double step, fine_low, fine_high;   // a row of fine number Q scores between fine_low + step * Q and fine_high + step * Q

  void start(const Scan& s, int64_t q, const Collector& collector) {
    const Screen& screen = s.screens[q];
    const double constant = s.constant[q], slack = kRoundings * (screen.extent + __builtin_fabs(constant)) + BlockFactors::least_slack_of(s);
    step = screen.fine.step;
    fine_low = screen.usable ? screen.fine.base + screen.fine.low + constant - slack : -__builtin_inff();
    fine_high = screen.usable ? screen.fine.base + screen.fine.high + constant + slack : __builtin_inff();
    high = screen.usable ? screen.coarse.base + screen.coarse.high + constant + slack : __builtin_inff();
    per_step = screen.coarse.per_step;
    bar = -__builtin_inff();
    floor = 0;
    raise(collector);
  }

  void raise(const Collector& collector) {
    if (collector.bar() == bar) return;
    bar = collector.bar();
    floor = least(high);
  }

  // The least coarse number that can enter, where `most` + its step lies above the score.
  uint32_t least(double most) const {
    const double need = (static_cast<double>(bar) - most) * per_step;  // slack is far more than this rounds
    return !(need > 0) ? 0 : need > 4e9 ? 4000000000u : static_cast<uint32_t>(__builtin_ceil(need));
  }

  // Collects the rows of `pass` of block b by their fine numbers.
  template <class Exact>
  void collect(const Scan& s, int64_t q, Collector& collector, int64_t b, uint64_t pass, const double* fine) {
    for (; pass; pass &= pass - 1) {
      const int r = __builtin_ctzll(pass);
      const float most = static_cast<float>(fine_high + step * fine[r]);
      if (!(most < bar)) collector.reservoir.add(b * kBlock + r, static_cast<float>(fine_low + step * fine[r]), most);
    }
    make_room<Exact>(s, q, collector);
    raise(collector);
  }
};

// The same where rows have factors.
template <class Exact>
inline void collect_scaled(const Scan& s, int64_t q, Collector& collector, const BlockFactors& factors, int64_t b, uint64_t pass, const double* fine) {
  for (; pass; pass &= pass - 1) {
    const int r = __builtin_ctzll(pass);
    const Bounds bounds = bounds_of(s, s.screens[q], s.screens[q].fine, RowFactors(factors, r), fine[r], s.constant[q]);
    if (!(bounds.high < collector.bar())) collector.reservoir.add(b * kBlock + r, bounds.low, bounds.high);
  }
  make_room<Exact>(s, q, collector);
}
