// The least of many totals, for beam_step and search_labels. Included inside a target region and an anonymous namespace, after the region's vectors.

// The least of a row's totals, ascending; of equals the first ones.
template <int64_t kMost>
struct Least {
  float total[kMost];
  int64_t place[kMost];
  int64_t count = 0;

  Least(const float* totals, int64_t all, int64_t keep) {
    const float bar = bound(totals, all, keep);
    if (few(totals, all, keep, bar)) return;
    search(totals, all, keep, bar);
    if (count == keep) return;
    count = 0;  // some are infinite or no numbers
    search(totals, all, keep, __builtin_inff());
    for (int64_t at = 0; count < keep; ++at)
      if (!(totals[at] < __builtin_inff())) put(count++, __builtin_inff(), at);
  }

 private:
  // What the `keep` least ones do not exceed: as many of 16 sets of totals have their least one up to there. Totals beyond 64s are left out.
  static float bound(const float* totals, int64_t all, int64_t keep) {
    constexpr int kSets = 16, kLanes = Floats::kLanes, kVectors = kSets / kLanes;
    const float infinity = __builtin_inff();
    if (keep > kSets) return infinity;
    Floats least[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) least[v] = Floats::set1(infinity);
    for (int64_t at = 0; at + 4 * kSets <= all; at += 4 * kSets)
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        const float* x = totals + at + v * kLanes;
        const Floats a = smaller(Floats::load(x), Floats::load(x + kSets));
        const Floats b = smaller(Floats::load(x + 2 * kSets), Floats::load(x + 3 * kSets));
        least[v] = smaller(smaller(a, b), least[v]);
      }
    alignas(64) float x[kSets];
    for (int v = 0; v < kVectors; ++v) least[v].store(x + v * kLanes);
    const float enough[2] = {infinity, -infinity};
    float found = infinity;
    for (int i = 0; i < kSets; ++i) {
      int below = 0;
      for (int v = 0; v < kVectors; ++v) below += __builtin_popcount(lanes_at_most(least[v], x[i]));
      const float one = enough[below >= keep] < x[i] ? x[i] : enough[below >= keep];  // no branch: none is foreseen
      found = one < found ? one : found;
    }
    return found;
  }

  // Ranks what does not exceed `bar`, if that is less than infinity and these are `keep` to 16, among up to 4096: without a branch for
  // each, as none is foreseen.
  bool few(const float* totals, int64_t all, int64_t keep, float bar) {
    constexpr int kSets = 16, kLanes = Floats::kLanes;
    if (!(bar < __builtin_inff()) || all % 64 != 0 || all > 64 * 64) return false;
    uint64_t low[64], some = 0;
    int64_t found = 0;
    for (int64_t i = 0; i < all / 64; ++i) {
      low[i] = 0;
#pragma GCC unroll 64
      for (int at = 0; at < 64; at += kLanes)
        low[i] |= static_cast<uint64_t>(lanes_at_most(Floats::load(totals + 64 * i + at), bar)) << at;
      some |= static_cast<uint64_t>(low[i] != 0) << i;
      found += __builtin_popcountll(low[i]);
    }
    if (found < keep || found > kSets) return false;
    alignas(64) float x[kSets];
    int32_t at[kSets];
    for (float& one : x) one = __builtin_inff();
    for (int64_t n = 0; some; some &= some - 1) {
      const int64_t i = __builtin_ctzll(some);
      for (uint64_t left = low[i]; left; left &= left - 1, ++n) {
        at[n] = static_cast<int32_t>(64 * i + __builtin_ctzll(left));
        x[n] = totals[at[n]];
      }
    }
    float ranked[kSets];
    int32_t place_of[kSets];
    for (int i = 0; i < found; ++i) {
      uint32_t up_to = 0, from = 0;
#pragma GCC unroll 16
      for (int j = 0; j < kSets; j += kLanes) {
        const Floats some_of = Floats::load(x + j);
        up_to |= lanes_at_most(some_of, x[i]) << j;
        from |= lanes_at_most(negative(some_of), -x[i]) << j;
      }
      // less, or equal and before it; infinities behind the last are neither
      const int rank = __builtin_popcount(up_to & ((2u << i) - 1)) + __builtin_popcount(~from & 0xffffu << (i + 1) & 0xffffu) - 1;
      ranked[rank] = x[i];
      place_of[rank] = at[i];
    }
    for (int64_t k = 0; k < keep; ++k) {
      total[k] = ranked[k];
      place[k] = place_of[k];
    }
    count = keep;
    return true;
  }

  // Takes up what is below infinity and does not exceed `bar`.
  void search(const float* totals, int64_t all, int64_t keep, float bar) {
    constexpr int kLanes = Floats::kLanes;
    int64_t at = 0;
    for (; at + kLanes <= all; at += kLanes)
      for (uint32_t low = lanes_at_most(Floats::load(totals + at), bar); low; low &= low - 1) {
        const int64_t lane = at + __builtin_ctz(low);
        bar = offer(totals[lane], lane, keep, bar);
      }
    for (; at < all; ++at) bar = offer(totals[at], at, keep, bar);
  }

  // Gives what those that follow must not exceed.
  float offer(float x, int64_t at, int64_t keep, float bar) {
    if (!(x < (count < keep ? __builtin_inff() : total[keep - 1]))) return bar;
    count += count < keep;
    put(count - 1, x, at);
    return count < keep ? bar : total[keep - 1];
  }

  // Into the last of the first `last + 1` places, and from there to where it belongs.
  void put(int64_t last, float x, int64_t at) {
    for (; last > 0 && total[last - 1] > x; --last) {
      total[last] = total[last - 1];
      place[last] = place[last - 1];
    }
    total[last] = x;
    place[last] = at;
  }
};
