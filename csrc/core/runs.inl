// Rows that come from memory, each read once and checked. Included inside a target region, after the region's vectors.
//
// One core reads memory fastest as several runs side by side, and not as one: the processor fetches each ahead by itself, within
// pages; what it misses is asked for here.

constexpr int64_t kRuns = 4;
constexpr int64_t kAheadBytes = 3072;

// Asks for the 64 floats that this run comes to after kAheadBytes more.
inline void fetch_ahead(const float* x) {
  for (int64_t line = 0; line < 4; ++line) __builtin_prefetch(reinterpret_cast<const char*>(x) + kAheadBytes + 64 * line);
}

// The magnitudes of 64 floats.
inline void add_magnitudes(const float* x, Magnitudes& magnitudes) {
#pragma GCC unroll 16
  for (int at = 0; at < 64; at += Floats::kLanes) magnitudes.add(Floats::load(x + at));
}

// Calls visit(row) for the rows [begin, end), a row of each run in turn.
template <class Visit>
inline void in_runs(int64_t begin, int64_t end, const Visit& visit) {
  const int64_t length = (end - begin) / kRuns;
  for (int64_t i = 0; i < length; ++i)
    for (int64_t run = 0; run < kRuns; ++run) visit(begin + run * length + i);
  for (int64_t row = begin + kRuns * length; row < end; ++row) visit(row);
}
