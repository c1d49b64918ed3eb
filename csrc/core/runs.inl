// Rows that come from memory, each read once and checked, one after the other. Included inside a target region, after the region's vectors.
//
// What is read is asked for line by line before (docs/decisions/015). Several runs side by side, which the processor fetches ahead by
// itself, are slower: four by a third on Zen 5.

constexpr int64_t kAheadBytes = 7 << 10;

// Asks for the 64 floats that come kAheadBytes later.
inline void fetch_ahead(const float* x) {
  for (int64_t line = 0; line < 4; ++line) __builtin_prefetch(reinterpret_cast<const char*>(x) + kAheadBytes + 64 * line);
}

// The magnitudes of 64 floats.
inline void add_magnitudes(const float* x, Magnitudes& magnitudes) {
#pragma GCC unroll 16
  for (int at = 0; at < 64; at += Floats::kLanes) magnitudes.add(Floats::load(x + at));
}
