// Planes of some rows: a byte's numbers are moved as one word, in loops that compilers vectorise. Included inside a target region.
// A word's first byte is its lowest here, as on every machine that there are kernels for.

// The byte of the 8 / width numbers that are the bytes of w, each below 2^width. The products' terms meet in no bit.
inline uint8_t join(uint8_t w) { return w; }
inline uint8_t join(uint16_t w) { return static_cast<uint8_t>(w | w >> 4); }
inline uint8_t join(uint32_t w) { return static_cast<uint8_t>((w << 30 | w << 20 | w << 10 | w) >> 24); }
inline uint8_t join(uint64_t w) { return static_cast<uint8_t>(w * 0x8040201008040201u >> 56); }

// What `join` joined.
inline void split(uint8_t byte, uint8_t& w) { w = byte; }
inline void split(uint8_t byte, uint16_t& w) { w = static_cast<uint16_t>((byte | byte << 4) & 0x0F0F); }
inline void split(uint8_t byte, uint32_t& w) {
  const uint32_t b = byte;
  w = (b >> 6 | b << 4 | b << 14 | b << 24) & 0x03030303u;
}
inline void split(uint8_t byte, uint64_t& w) {
  const uint64_t apart = byte * 0x0101010101010101u & 0x0102040810204080u;  // byte r keeps bit 7 - r
  w = (apart + 0x7F7F7F7F7F7F7F7Fu) >> 7 & 0x0101010101010101u;
}

// All bytes of a word the same.
template <class Word>
inline Word every_byte(unsigned byte) {
  return static_cast<Word>(~Word{0} / 255u * byte);
}

// One row's plane of bits left .. left + 8 / sizeof(Word) - 1 of every number.
template <class Word>
inline void pack_plane(const uint8_t* labels, int64_t d, int left, uint8_t* out) {
  constexpr int64_t numbers = sizeof(Word);
  const Word mask = every_byte<Word>((1u << (8 / numbers)) - 1);
  const int64_t whole = d / numbers;
  for (int64_t b = 0; b < whole; ++b) {
    Word w;
    __builtin_memcpy(&w, labels + b * numbers, sizeof w);
    out[b] = join(static_cast<Word>(w >> left & mask));
  }
  if (whole * numbers == d) return;
  uint8_t rest[sizeof(Word)] = {};
  for (int64_t i = whole * numbers; i < d; ++i) rest[i - whole * numbers] = labels[i];
  Word w;
  __builtin_memcpy(&w, rest, sizeof w);
  out[whole] = join(static_cast<Word>(w >> left & mask));
}

// Appends a plane's bits to the numbers that out holds, or begins them.
template <class Word, bool first>
inline void unpack_plane(const uint8_t* plane, int64_t d, uint8_t* out) {
  constexpr int64_t numbers = sizeof(Word);
  const int64_t whole = d / numbers;
  for (int64_t b = 0; b < whole; ++b) {
    Word w, before = 0;
    split(plane[b], w);
    if (!first) __builtin_memcpy(&before, out + b * numbers, sizeof before);
    w = static_cast<Word>(w | before << (8 / numbers));
    __builtin_memcpy(out + b * numbers, &w, sizeof w);
  }
  if (whole * numbers == d) return;
  Word w;
  uint8_t rest[sizeof(Word)];
  split(plane[whole], w);
  __builtin_memcpy(rest, &w, sizeof w);
  for (int64_t i = whole * numbers; i < d; ++i)
    out[i] = static_cast<uint8_t>(rest[i - whole * numbers] | (first ? 0 : out[i] << (8 / numbers)));
}

template <bool first>
inline void unpack_plane_of(int width, const uint8_t* plane, int64_t d, uint8_t* out) {
  if (width == 8) unpack_plane<uint8_t, first>(plane, d, out);
  if (width == 4) unpack_plane<uint16_t, first>(plane, d, out);
  if (width == 2) unpack_plane<uint32_t, first>(plane, d, out);
  if (width == 1) unpack_plane<uint64_t, first>(plane, d, out);
}
