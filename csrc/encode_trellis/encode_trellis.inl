// The search through the trellis, a row in each lane. Included inside a target region and an anonymous namespace, after the region's vectors.

constexpr int64_t kWarm = 24;
constexpr float kFarthest = 1000;
constexpr int64_t kMostSteps = 8 * kWordBytes;
constexpr int kMostWindows = 256;
constexpr int kTurned = 8;  // windows of so many bits are searched from the middle of a word, too
constexpr int kRows = Floats::kLanes;

// How the windows that end in a state compete for it: at node 1 the better of nodes 2 and 3 goes on, and so down to the windows; `right` says
// of which rows it was the second. A state's nodes stand where its windows do.
struct Taken {
  alignas(64) Lanes right[kMostSteps][kMostWindows];
};

// kWindow: bits that name a level.
template <int kWindow, int kRate>
struct Search {
  static constexpr int kWindows = 1 << kWindow, kStates = kWindows >> kRate, kWays = 1 << kRate;

  alignas(64) float x[kMostSteps][kRows];  // -2 y
  float level[kWindows], square[kWindows];
  alignas(64) float cost[2][kStates][kRows];  // of the states after the steps, in turns
  alignas(64) uint32_t ends[kStates][kRows];  // that beginnings come from
  const int8_t* levels;  // of this rate
  Taken& taken;
  const int64_t steps;
  const int bits, rest, shared;  // of the ring; beyond the steps; states that the end and the beginning share

  Search(const TrellisWord& word, const int8_t* all_levels, Taken& memory)
      : levels(all_levels + (kRate - 1) * kWindows), taken(memory), steps(word.steps), bits(8 * word.size), rest(bits - word.steps * kRate),
        shared(1 << (kWindow - kRate - rest)) {
    for (int w = 0; w < kWindows; ++w) {
      level[w] = levels[w];
      square[w] = level[w] * level[w];
    }
  }

  // rows: y of the first row's first component, `stride` from row to row; `count` of them, the others are zeros.
  void load(const float* rows, int64_t stride, int64_t count) {
    const Floats least = Floats::set1(-kFarthest), most = Floats::set1(kFarthest);
    int64_t r = 0;
    if constexpr (kRows % 4 == 0) {
      const int64_t whole = steps / 4 * 4;
      for (; r + 4 <= count; r += 4) {
        for (int64_t t = 0; t < whole; t += 4) transpose4(rows + r * stride + t, stride, x[t] + r, kRows);
        for (int64_t t = whole; t < steps; ++t)
          for (int64_t i = r; i < r + 4; ++i) x[t][i] = rows[i * stride + t];
      }
    }
    for (; r < kRows; ++r)
      for (int64_t t = 0; t < steps; ++t) x[t][r] = r < count ? rows[r * stride + t] : 0;
    for (int64_t t = 0; t < steps; ++t) (within(Floats::load(x[t]), least, most) * Floats::set1(-2)).store(x[t]);
  }

  // The rings of the first `count` rows and, `stride` from row to row, the levels that they name.
  void find(int64_t count, uint64_t (&ring)[kRows], int8_t* values, int64_t stride) {
    uint64_t state[kRows], start[kRows];
    for (auto& costs : cost[0])
      for (float& one : costs) one = 0;
    walk<false>(steps > kWarm ? steps - kWarm : 0);
    begin_where_ends_allow(ends);
    walk<true>(0);
    least_states(state);
    for (int64_t t = steps - 1; t >= 0; --t)
      for (int64_t r = 0; r < count; ++r) state[r] = window_before(t, state[r], r) % kStates;
    for (int r = 0; r < kRows; ++r) start[r] = r < count ? state[r] : 0;
    begin_in(start);
    walk<true>(0);
    for (int64_t r = 0; r < count; ++r) {
      state[r] = closing_state(r, start[r]);
      ring[r] = 0;
    }
    if constexpr (kWindow == kTurned) {
      const int64_t middle = steps / 2;
      for (int64_t t = steps - 1; t >= middle; --t)
        for (int64_t r = 0; r < count; ++r) state[r] = window_before(t, state[r], r) % kStates;
      for (int r = count; r < kRows; ++r) state[r] = 0;
      begin_in(state);
      walk<true>(middle);
      begin_where_ends_allow(ends);
      walk<true>(0, middle);
      follow(middle - 1, 0, count, state, ring, values, stride);
      for (int64_t r = 0; r < count; ++r) {
        start[r] = state[r];
        state[r] = ends[start[r]][r];
      }
      follow(steps - 1, middle, count, state, ring, values, stride);
    } else {
      follow(steps - 1, 0, count, state, ring, values, stride);
    }
    for (int64_t r = 0; r < count; ++r) {
      ring[r] = ring[r] << (kWindow - kRate) | start[r];
      if (bits < 64) ring[r] &= (uint64_t{1} << bits) - 1;
    }
  }

 private:
  // Steps from `first` on, from cost[0] to cost[0].
  template <bool kKeep>
  void walk(int64_t first) {
    walk<kKeep>(first, steps);
  }

  template <bool kKeep>
  void walk(int64_t first, int64_t last) {
    for (int64_t t = first; t < last; ++t) step<kKeep>(t, cost[(t - first) % 2], cost[(t - first + 1) % 2]);
    if ((last - first) % 2) __builtin_memcpy(cost[0], cost[1], sizeof cost[0]);
  }

  // Each row begins in a state of its own.
  void begin_in(const uint64_t (&state)[kRows]) {
    for (auto& costs : cost[0])
      for (float& one : costs) one = __builtin_inff();
    for (int r = 0; r < kRows; ++r) cost[0][state[r]][r] = 0;
  }

  // Back along the ways that were taken, from step `last` to `first`: the levels, and each window's new bits at their place in the ring, less
  // those of the state that the word begins in.
  void follow(int64_t last, int64_t first, int64_t count, uint64_t (&state)[kRows], uint64_t (&ring)[kRows], int8_t* values, int64_t stride) const {
    for (int64_t t = last; t >= first; --t)
      for (int64_t r = 0; r < count; ++r) {
        const uint64_t window = window_before(t, state[r], r);
        values[r * stride + t] = levels[window];
        ring[r] |= window / kStates << kRate * t;
        state[r] = window % kStates;
      }
  }

  template <bool kKeep>
  [[gnu::always_inline]] inline void step(int64_t t, const float (*from)[kRows], float (*to)[kRows]) {
    const Floats now = Floats::load(x[t]);
#pragma GCC unroll 4
    for (int s = 0; s < kStates; ++s) least<kKeep, 1>(s << kRate, now, from, taken.right[t] + (s << kRate)).store(to[s]);
  }

  // The least cost of a way to a state whose first window is `first`, of those below a node.
  template <bool kKeep, int kNode>
  [[gnu::always_inline]] inline Floats least(int first, Floats now, const float (*from)[kRows], Lanes* right) const {
    if constexpr (kNode >= kWays) {
      const int window = first + kNode - kWays;
      return Floats::load(from[window % kStates]) + fma(now, Floats::set1(level[window]), Floats::set1(square[window]));
    } else {
      const Floats a = least<kKeep, 2 * kNode>(first, now, from, right), b = least<kKeep, 2 * kNode + 1>(first, now, from, right);
      if (kKeep) store_less(b, a, right + kNode);
      return smaller(b, a);
    }
  }

  // By which window row r came to `state` at step t.
  [[gnu::always_inline]] inline uint64_t window_before(int64_t t, uint64_t state, int64_t r) const {
    const Lanes* right = taken.right[t] + (state << kRate);
    uint64_t node = 1;
#pragma GCC unroll 4
    for (int i = 0; i < kRate; ++i) node = 2 * node + (right[node] >> kLaneBits * r & 1);
    return (state << kRate) + node - kWays;
  }

  // from : of each state at the beginning, the end that it comes from.
  void begin_where_ends_allow(uint32_t (&from)[kStates][kRows]) {
    for (int s = 0; s < kStates; ++s) {
      const int first = s % shared << rest;
      Floats best = Floats::load(cost[0][first]);
      Ints found = Ints::set1(static_cast<uint32_t>(first));
      for (int e = first + 1; e < first + (1 << rest); ++e)
        keep_smaller(Floats::load(cost[0][e]), Ints::set1(static_cast<uint32_t>(e)), best, found);
      best.store(cost[1][s]);
      found.store(from[s]);
    }
    __builtin_memcpy(cost[0], cost[1], sizeof cost[0]);
  }

  // Each row's state of least cost.
  void least_states(uint64_t (&state)[kRows]) const {
    Floats best = Floats::load(cost[0][0]);
    Ints found = Ints::zero();
    for (int s = 1; s < kStates; ++s) keep_smaller(Floats::load(cost[0][s]), Ints::set1(static_cast<uint32_t>(s)), best, found);
    alignas(64) uint32_t states[kRows];
    found.store(states);
    for (int r = 0; r < kRows; ++r) state[r] = states[r];
  }

  // The state of least cost of row r among those that close a ring that begins in `start`.
  uint64_t closing_state(int64_t r, uint64_t start) const {
    const uint64_t first = start % shared << rest;
    uint64_t best = first;
    for (uint64_t e = first + 1; e < first + (uint64_t{1} << rest); ++e)
      if (cost[0][e][r] < cost[0][best][r]) best = e;
    return best;
  }
};

template <int kWindow, int kRate>
inline void encode_word(const EncodeTrellisArgs& a, const TrellisWord& word, int64_t row, int64_t count, Taken& taken) {
  Search<kWindow, kRate> search(word, a.levels, taken);
  search.load(a.y + row * a.m + word.component, a.m, count);
  uint64_t ring[kRows];
  search.find(count, ring, a.values + row * a.m + word.component, a.m);
  for (int64_t r = 0; r < count; ++r) {
    uint8_t* code = a.codes + (row + r) * a.code_size + word.byte;
    for (int b = 0; b < word.size; ++b) code[b] = static_cast<uint8_t>(ring[r] >> (8 * b));
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
