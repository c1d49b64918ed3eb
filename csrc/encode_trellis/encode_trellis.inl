// The search through the trellis, a row in each lane. Included inside a target region and an anonymous namespace, after the region's vectors.

constexpr int64_t kWarm = 24;
constexpr float kFarthest = 1000;
constexpr int64_t kMostSteps = 8 * kWordBytes;
constexpr int kMostStates = 128;
constexpr int kRows = Floats::kLanes;

// Which of the windows that end there each state of a step was reached by: four states' in a lane, of which the first has the lowest byte.
struct Taken {
  alignas(64) uint32_t ways[kMostSteps][kMostStates / 4][kRows];
};

template <int kWindow, int kRate>
struct Search {
  static constexpr int kWindows = 1 << kWindow, kStates = kWindows >> kRate, kWays = 1 << kRate;

  alignas(64) float x[kMostSteps][kRows];  // -2 y
  float level[kWindows], square[kWindows];
  Floats cost[kStates];
  Taken& taken;
  const int64_t steps;
  const int bits, rest, shared;  // of the ring; beyond the steps; states that the end and the beginning share

  Search(const TrellisWord& word, const int8_t* levels, Taken& memory)
      : taken(memory), steps(word.steps), bits(8 * word.size), rest(bits - word.steps * kRate), shared(shared_of(rest)) {
    for (int w = 0; w < kWindows; ++w) {
      level[w] = levels[(kRate - 1) * kWindows + w];
      square[w] = level[w] * level[w];
    }
  }

  // rows: y of the first row's first component, `stride` from row to row; `count` of them, the others are zeros.
  void load(const float* rows, int64_t stride, int64_t count) {
    for (int64_t t = 0; t < steps; ++t)
      for (int64_t r = 0; r < kRows; ++r) {
        const float y = r < count ? rows[r * stride + t] : 0;
        x[t][r] = -2 * (y < -kFarthest ? -kFarthest : y > kFarthest ? kFarthest : y);
      }
  }

  // The ring of each row.
  void find(uint64_t (&ring)[kRows]) {
    for (int s = 0; s < kStates; ++s) cost[s] = Floats::zero();
    for (int64_t t = steps > kWarm ? steps - kWarm : 0; t < steps; ++t) step<false>(t);
    begin_where_ends_allow();
    for (int64_t t = 0; t < steps; ++t) step<true>(t);
    alignas(64) float costs[kStates][kRows];
    int start[kRows];
    store(costs);
    for (int r = 0; r < kRows; ++r) {
      uint64_t unclosed;
      start[r] = back(r, least_of(costs, r, 0, 0), unclosed);
    }
    for (int s = 0; s < kStates; ++s) {
      for (int r = 0; r < kRows; ++r) costs[s][r] = s == start[r] ? 0 : __builtin_inff();
      cost[s] = Floats::load(costs[s]);
    }
    for (int64_t t = 0; t < steps; ++t) step<true>(t);
    store(costs);
    for (int r = 0; r < kRows; ++r) back(r, least_of(costs, r, shared - 1, start[r]), ring[r]);
  }

 private:
  static int shared_of(int rest) { return kWindow - kRate > rest ? 1 << (kWindow - kRate - rest) : 1; }

  template <bool kKeep>
  [[gnu::always_inline]] inline void step(int64_t t) {
    Floats next[kStates];
    const Floats now = Floats::load(x[t]);
    for (int four = 0; four < kStates; four += 4) {
      Ints ways = Ints::zero();
#pragma GCC unroll 4
      for (int s = four; s < four + 4; ++s) {
        const int first = s << kRate;
        Floats best = way(first, now);
        if (kKeep) {
          Ints taken_way = Ints::zero();
#pragma GCC unroll 16
          for (int w = 1; w < kWays; ++w)
            keep_smaller(way(first + w, now), Ints::set1(static_cast<uint32_t>(w) << (8 * (s - four))), best, taken_way);
          ways = ways | taken_way;
        } else {
#pragma GCC unroll 16
          for (int w = 1; w < kWays; ++w) best = smaller(way(first + w, now), best);
        }
        next[s] = best;
      }
      if (kKeep) ways.store(taken.ways[t][four / 4]);
    }
    for (int s = 0; s < kStates; ++s) cost[s] = next[s];
  }

  Floats way(int window, Floats now) const {
    return cost[window % kStates] + fma(now, Floats::set1(level[window]), Floats::set1(square[window]));
  }

  void begin_where_ends_allow() {
    Floats begin[kStates];
    for (int s = 0; s < kStates; ++s) {
      begin[s] = Floats::set1(__builtin_inff());
      for (int e = 0; e < kStates; ++e)
        if (e >> rest == s % shared) begin[s] = smaller(cost[e], begin[s]);
    }
    for (int s = 0; s < kStates; ++s) cost[s] = begin[s];
  }

  void store(float (&costs)[kStates][kRows]) const {
    for (int s = 0; s < kStates; ++s) cost[s].store(costs[s]);
  }

  // The state of least cost of row r, among those whose bits beyond the ring are the lowest of `start`.
  int least_of(const float (&costs)[kStates][kRows], int r, int mask, int start) const {
    int best = -1;
    for (int e = 0; e < kStates; ++e)
      if ((mask ? e >> rest : 0) == (start & mask) && (best < 0 || costs[e][r] < costs[best][r])) best = e;
    return best;
  }

  // From state `end` of row r back to the state that the word begins in; the ring's bits are those of the windows, the first ones' last.
  int back(int r, int end, uint64_t& ring) const {
    uint64_t found = 0;
    int state = end;
    for (int64_t t = steps - 1; t >= 0; --t) {
      const int window = state << kRate | static_cast<int>(taken.ways[t][state / 4][r] >> (8 * (state % 4)) & (kWays - 1));
      const int64_t at = kRate * t;
      found = (found & ~(uint64_t{kWindows - 1} << at)) | static_cast<uint64_t>(window) << at;
      state = window % kStates;
    }
    ring = bits < 64 ? found & ((uint64_t{1} << bits) - 1) : found;
    return state;
  }
};

template <int kWindow, int kRate>
inline void encode_word(const EncodeTrellisArgs& a, const TrellisWord& word, int64_t row, int64_t count, Taken& taken) {
  constexpr int64_t kWindows = 1 << kWindow;
  Search<kWindow, kRate> search(word, a.levels, taken);
  search.load(a.y + row * a.m + word.component, a.m, count);
  uint64_t ring[kRows];
  search.find(ring);
  for (int64_t r = 0; r < count; ++r) {
    uint8_t* code = a.codes + (row + r) * a.code_size + word.byte;
    int8_t* value = a.values + (row + r) * a.m + word.component;
    for (int b = 0; b < word.size; ++b) code[b] = static_cast<uint8_t>(ring[r] >> (8 * b));
    for (int64_t t = 0; t < word.steps; ++t) {
      const int64_t at = kRate * t, over = 8 * word.size - at;  // bits to the ring's end
      const uint64_t window = (ring[r] >> at | (over < kWindow ? ring[r] << over : 0)) % kWindows;
      value[t] = a.levels[(kRate - 1) * kWindows + static_cast<int64_t>(window)];
    }
  }
}

template <int kWindow>
inline void encode_word(const EncodeTrellisArgs& a, const TrellisWord& word, int64_t row, int64_t count, Taken& taken) {
  switch (word.rate) {
    case 1: return encode_word<kWindow, 1>(a, word, row, count, taken);
    case 2: return encode_word<kWindow, 2>(a, word, row, count, taken);
    case 3: return encode_word<kWindow, 3>(a, word, row, count, taken);
    default: encode_word<kWindow, 4>(a, word, row, count, taken);
  }
}

void encode_trellis_rows(const EncodeTrellisArgs& a, int64_t begin, int64_t end) {
  Taken taken;
  for (int64_t row = begin; row < end; row += kRows) {
    const int64_t count = end - row < kRows ? end - row : kRows;
    for (int64_t w = 0; w < a.n_words; ++w) {
      if (a.window == 6)
        encode_word<6>(a, a.words[w], row, count, taken);
      else
        encode_word<8>(a, a.words[w], row, count, taken);
    }
  }
}
