// Trellis codes as `dot` scans numbers: words are unpacked to windows, which are looked up among 64 or 256 numbers, into the tile that dot's
// products are made of. Included inside a target region and an anonymous namespace, after dot/dot.inl and the region's
//   Ring::windows<window, rate>(a, b, shift): of each 32 bits of a and, above them, of b, the four windows from bit `shift` on, in four bytes
//   WindowTable<window>(numbers).lookup(x): four Bytes of windows, as Ring gives them, become their numbers

// Vectors [v0, v1) of one word for a chunk of rows; tile: vector v0's place. payload: the words' first byte of the first row. ahead: how far
// behind a word's lines those to ask for lie, 0 for none; each of several chunks asks for its share.
template <int kWindow, int kRate>
inline void decode_word(const TrellisWord& word, const uint8_t* numbers, const uint8_t* payload, int64_t v0, int64_t v1, uint8_t* tile, int64_t ahead,
                        int64_t chunk) {
  const WindowTable<kWindow> table(numbers + ((kRate - 1) << kWindow));
  const uint8_t* plane = payload + word.byte * kBlock;
  if (ahead && v0 == word.four)
    for (int64_t j = chunk; j < word.size; j += kChunks) ask_for(plane + j * kBlock + ahead);
  Bytes low[4], high[4];  // 64 bits of each row; a shorter ring goes round in them
  for (int j = 0; j < 4; ++j) {
    low[j] = Bytes::load(plane + j % word.size * kBlock);
    high[j] = Bytes::load(plane + (j + 4) % word.size * kBlock);
  }
  interleave(low);
  interleave(high);
  for (int64_t v = v0; v < v1; ++v, tile += 4 * Bytes::kLanes) {
    const int bit = static_cast<int>(4 * kRate * (v - word.four));
    const bool first = bit < 32;
    Bytes x[4];
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) x[k] = Ring::windows<kWindow, kRate>(first ? low[k] : high[k], first ? high[k] : low[k], bit % 32);
    table.lookup(x);
#pragma GCC unroll 4
    for (int k = 0; k < 4; ++k) multiplicand(x[k]).store(tile + k * Bytes::kLanes);
  }
}

template <int kWindow>
inline void decode_word(const TrellisWord& word, const uint8_t* numbers, const uint8_t* payload, int64_t v0, int64_t v1, uint8_t* tile, int64_t ahead,
                        int64_t chunk) {
  switch (word.rate) {
    case 1: return decode_word<kWindow, 1>(word, numbers, payload, v0, v1, tile, ahead, chunk);
    case 2: return decode_word<kWindow, 2>(word, numbers, payload, v0, v1, tile, ahead, chunk);
    case 3: return decode_word<kWindow, 3>(word, numbers, payload, v0, v1, tile, ahead, chunk);
    default: decode_word<kWindow, 4>(word, numbers, payload, v0, v1, tile, ahead, chunk);
  }
}

struct TrellisSums {
  static void exact(const Scan& s, int64_t q, const int64_t (&rows)[8], int count, float (&sums)[8]) {
    for (int i = 0; i < count; ++i) sums[i] = exact_row(s, q, rows[i]);
  }

  // From the words.
  [[gnu::noinline]] static float exact_row(const Scan& s, int64_t q, int64_t row) {
    const uint8_t* block = s.block(row / kBlock);
    const uint8_t* payload = block + (s.head + s.labels) * kBlock + row % kBlock;
    const int length = s.trellis->window;
    RowSum sum(s, q, block, row % kBlock);
    alignas(64) float x[16];
    int filled = 0;
    for (int64_t w = 0; w < s.trellis->n_words; ++w) {
      const TrellisWord& word = s.trellis->words[w];
      const uint8_t* numbers = s.trellis->numbers + ((word.rate - 1) << length);
      uint64_t ring = 0;
      for (int j = 0; j < 8; ++j) ring |= static_cast<uint64_t>(payload[(word.byte + j % word.size) * kBlock]) << (8 * j);
      for (int64_t t = 0, bit = 0; t < word.steps; ++t, bit += word.rate) {
        const uint64_t window = ring >> bit | (bit + length > 64 ? ring << (64 - bit) : 0);
        x[filled] = static_cast<float>(numbers[window & ((1u << length) - 1)] - kLevelsZero);
        if (++filled == 16) sum.add(x, filled), filled = 0;
      }
    }
    if (filled) sum.add(x, filled);
    return with_labels(s, q, block, row % kBlock, sum.sum());
  }
};

struct TrellisNumbers {
  static constexpr bool kFromRegisters = false;
  using Exact = TrellisSums;

  static void unpack(const Scan& s, const uint8_t* block, int64_t u0, int64_t u1, uint8_t* tile) {
    const TrellisCode& code = *s.trellis;
    const int64_t begin = u0 * kVectors, end = u1 * kVectors, ahead = from_memory(s) && s.stride == s.code_size ? kAhead : 0;
    for (int64_t chunk = 0; chunk < kChunks; ++chunk, tile += (end - begin) * 4 * Bytes::kLanes) {
      const uint8_t* payload = block + (s.head + s.labels) * kBlock + chunk * Bytes::kLanes;
      for (int64_t w = 0; w < code.n_words; ++w) {
        const TrellisWord& word = code.words[w];
        const int64_t last = word.four + word.fours(), v0 = word.four > begin ? word.four : begin, v1 = last < end ? last : end;
        if (v0 >= v1) continue;
        uint8_t* const at = tile + (v0 - begin) * 4 * Bytes::kLanes;
        if (code.window == 6)
          decode_word<6>(word, code.numbers, payload, v0, v1, at, ahead, chunk);
        else
          decode_word<8>(word, code.numbers, payload, v0, v1, at, ahead, chunk);
      }
      for (int64_t v = code.places / 4 > begin ? code.places / 4 : begin; v < end; ++v)  // behind the last word
        for (int k = 0; k < 4; ++k) multiplicand(Bytes::zero()).store(tile + ((v - begin) * 4 + k) * Bytes::kLanes);
    }
  }
  static void multiply(const Scan&, const uint8_t*, int64_t, const Part&) {}
};

// Levels are whole numbers as they are.
void prepare_trellis(const Scan&, Levels& out) {
  out.base = -kLevelsZero;
  out.most = 2 * kLevelsZero;
  out.largest = kLevelsZero;
  for (int c = 0; c < 256; ++c) out.level[c] = out.by_number[c] = static_cast<float>(c - kLevelsZero);
}

void scan_trellis(const Scan& s, int64_t q0, int64_t q1, int64_t b0, int64_t b1, Collector* collectors) {
  for (int64_t q = q0; q < q1; q += kTogether) {
    Numbers<TrellisNumbers> numbers(s);
    numbers.scan(s, q, static_cast<int>(q1 - q < kTogether ? q1 - q : kTogether), b0, b1, collectors + (q - q0));
  }
}
