// A step of the beam search, row by row: the totals of all continuations, where paths that begin alike share their sums, then the least of
// them. Included inside a target region and an anonymous namespace, after the region's vectors and least.inl.

// What columns beside whole vectors are summed in.
struct One {
  static constexpr int kLanes = 1;
  float v;
  static One load(const float* p) { return {*p}; }
  static One set1(float x) { return {x}; }
  One operator+(One o) const { return {v + o.v}; }
  void store(float* p) const { *p = v; }
};

// The paths of a row as a tree: in lexicographic order each starts with `shared` labels of the one before.
struct Tree {
  int order[BeamStep::kMostPaths];
  int64_t shared[BeamStep::kMostPaths];
  uint64_t kept[BeamStep::kMostPaths];  // bit i: a later path goes on from this one's first i labels

  Tree(const uint8_t* paths, int64_t b, int64_t labels) {
    for (int p = 0; p < b; ++p) order[p] = p;
    const int64_t gaps[] = {57, 23, 10, 4, 1};  // Shell's sort
    for (const int64_t gap : gaps)
      for (int64_t k = gap; k < b; ++k) {
        const int moved = order[k];
        int64_t to = k;
        for (; to >= gap && before(paths + moved * labels, paths + order[to - gap] * labels, labels); to -= gap) order[to] = order[to - gap];
        order[to] = moved;
      }
    shared[0] = 0;
    for (int64_t k = 1; k < b; ++k) shared[k] = alike(paths + order[k - 1] * labels, paths + order[k] * labels, labels);
    for (int64_t k = 0; k < b; ++k) {
      kept[k] = 0;
      int64_t least = labels + 1;
      for (int64_t later = k + 1; later < b && least > shared[k]; ++later) {
        least = shared[later] < least ? shared[later] : least;
        kept[k] |= uint64_t{1} << least;
      }
    }
  }

 private:
  // How many labels two paths begin with alike.
  static int64_t alike(const uint8_t* x, const uint8_t* y, int64_t labels) {
    int64_t i = 0;
    for (; i + 8 <= labels; i += 8) {
      uint64_t eight, other;
      __builtin_memcpy(&eight, x + i, 8);
      __builtin_memcpy(&other, y + i, 8);
      if (eight != other) return i + __builtin_ctzll(eight ^ other) / 8;
    }
    while (i < labels && x[i] == y[i]) ++i;
    return i;
  }

  static bool before(const uint8_t* x, const uint8_t* y, int64_t labels) {
    const int64_t i = alike(x, y, labels);
    return i < labels && x[i] < y[i];
  }
};

// Totals of a row's paths for the V vectors of labels from c on. sums: [labels + 1][ks], at i those of paths' first i labels.
template <class F, int V>
[[gnu::always_inline]] inline void add_up(const BeamStepArgs& a, int64_t row, const Tree& tree, int64_t c, float* sums, float* totals) {
  const uint8_t* paths = a.paths + row * a.b * a.labels;
  for (int64_t k = 0; k < a.b; ++k) {
    const uint8_t* path = paths + tree.order[k] * a.labels;
    const float* from = tree.shared[k] ? sums + tree.shared[k] * a.ks + c : a.costs + row * a.ks + c;
    F sum[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[v] = F::load(from + v * F::kLanes);
    for (int64_t i = tree.shared[k]; i < a.labels;) {
      const float* pair = a.pairs + (i * a.ks + path[i]) * a.ks + c;
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[v] = sum[v] + F::load(pair + v * F::kLanes);
      if (tree.kept[k] >> ++i & 1)
#pragma GCC unroll 16
        for (int v = 0; v < V; ++v) sum[v].store(sums + i * a.ks + c + v * F::kLanes);
    }
    const F score = F::set1(a.scores[row * a.b + tree.order[k]]);
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) (sum[v] + score).store(totals + tree.order[k] * a.ks + c + v * F::kLanes);
  }
}

void beam_step_rows(const BeamStepArgs& a, int64_t begin, int64_t end, float* scratch) {
  constexpr int kMany = kRegisters / 2, kLanes = Floats::kLanes;
  float* totals = scratch + (a.labels + 1) * a.ks;
  for (int64_t row = begin; row < end; ++row) {
    const uint8_t* paths = a.paths + row * a.b * a.labels;
    const Tree tree(paths, a.b, a.labels);
    int64_t c = 0;
    for (; c + kMany * kLanes <= a.ks; c += kMany * kLanes) add_up<Floats, kMany>(a, row, tree, c, scratch, totals);
    for (; c + kLanes <= a.ks; c += kLanes) add_up<Floats, 1>(a, row, tree, c, scratch, totals);
    for (; c < a.ks; ++c) add_up<One, 1>(a, row, tree, c, scratch, totals);
    const Least<BeamStep::kMostPaths> least(totals, a.b * a.ks, a.keep);
    for (int64_t k = 0; k < a.keep; ++k) {
      uint8_t* grown = a.grown + (row * a.keep + k) * (a.labels + 1);
      __builtin_memcpy(grown, paths + least.place[k] / a.ks * a.labels, static_cast<size_t>(a.labels));
      grown[a.labels] = static_cast<uint8_t>(least.place[k] % a.ks);
      a.best[row * a.keep + k] = least.total[k];
    }
  }
}
