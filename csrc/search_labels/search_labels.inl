// The search for labels, a tile of rows step by step: whole numbers of what the best paths leave, their products with a codebook, then
// row by row the totals of all continuations and the least of them. Included inside a target region and an anonymous namespace, after
// the region's vectors, Shorts and whole_numbers, and beam_step/least.inl.

constexpr int64_t kEntries = SearchLabels::kEntries, kTileRows = SearchLabels::kTileRows;
constexpr float kSmallest = 0x1p-100f;
constexpr int64_t kBehind = 12;  // rows, that entries are asked for before they are subtracted

// Where pairs of a path and those of the first path are that differ: rows of `pairs`, two by two.
struct Apart {
  int32_t count;
  int32_t rows[2 * SearchLabels::kMostLabels];

  void find(const uint8_t* path, const uint8_t* best, int64_t labels) {
    count = 0;
    for (int64_t i = 0; i < labels; i += 8) {  // labels behind the last are zeros
      uint64_t eight, other;
      __builtin_memcpy(&eight, path + i, 8);
      __builtin_memcpy(&other, best + i, 8);
      for (uint64_t unlike = eight ^ other; unlike;) {
        const int64_t byte = __builtin_ctzll(unlike) / 8, at = i + byte;
        rows[2 * count] = static_cast<int32_t>(at * kEntries + path[at]);
        rows[2 * count++ + 1] = static_cast<int32_t>(at * kEntries + best[at]);
        unlike &= ~(uint64_t{255} << (8 * byte));
      }
    }
  }
};

// Rows between two steps; `stride` bytes from path to path, and as many times the paths that there may be from row to row.
struct Rows {
  SearchedRow* row;
  uint8_t* paths;
};

struct Tile {
  float* left;      // [96][padded d]: what the first paths leave, zeros behind
  float* own;       // [256]
  float* totals;    // [paths][256]
  int32_t* sums;    // [96][256]
  int8_t* whole;    // [96][padded d]: `left` as whole numbers
  Rows now, next;
  Apart* aparts;    // [96][paths]
  int64_t width, stride, row_stride;  // padded d; from path to path, from row to row
  int64_t most_paths;

  Tile(const SearchLabelsArgs& a, uint8_t* scratch) : width(padded(a.d)), stride(path_stride(a.depth)) {
    const int64_t paths = a.b > a.beam ? a.b : a.beam;
    most_paths = paths > a.last ? paths : a.last;
    row_stride = stride * most_paths;
    left = reinterpret_cast<float*>(scratch);
    own = left + kTileRows * width;
    totals = own + kEntries;
    sums = reinterpret_cast<int32_t*>(totals + SearchLabels::kMostPaths * kEntries);
    whole = reinterpret_cast<int8_t*>(sums + kTileRows * kEntries);
    now.paths = reinterpret_cast<uint8_t*>(whole + kTileRows * width);
    next.paths = now.paths + kTileRows * row_stride;
    now.row = reinterpret_cast<SearchedRow*>(next.paths + kTileRows * row_stride);
    next.row = now.row + kTileRows;
    aparts = reinterpret_cast<Apart*>(next.row + kTileRows);
    __builtin_memset(now.paths, 0, static_cast<size_t>(2 * kTileRows * row_stride));  // labels behind a path's last stay zeros
  }
};

// out = x - y.
inline void subtract(const float* x, const float* y, int64_t d, float* out) {
  int64_t t = 0;
  for (; t + Floats::kLanes <= d; t += Floats::kLanes) (Floats::load(x + t) - Floats::load(y + t)).store(out + t);
  for (; t < d; ++t) out[t] = x[t] - y[t];
}

// What the first `labels` labels of a path leave of y.
inline void subtract_path(const SearchLabelsArgs& a, const float* y, const uint8_t* path, int64_t labels, float* left) {
  if (!labels) __builtin_memcpy(left, y, static_cast<size_t>(a.d) * sizeof(float));
  for (int64_t i = 0; i < labels; ++i) subtract(i ? left : y, a.books + (i * kEntries + path[i]) * a.d, a.d, left);
}

inline float largest_magnitude(const Magnitudes& all) {
  uint32_t lanes[sizeof all.most / 4], most = 0;
  __builtin_memcpy(lanes, &all.most, sizeof all.most);
  for (const uint32_t lane : lanes) most = lane > most ? lane : most;
  float x;
  __builtin_memcpy(&x, &most, sizeof x);
  return x;
}

// A row's numbers -63 .. 63, and what their sums with bytes less 128 begin with.
inline void round_row(const float* left, int64_t width, SearchedRow& row, int8_t* whole) {
  constexpr int kLanes = Floats::kLanes, kVectors = 64 / kLanes;
  Magnitudes all = Magnitudes::zero();
  for (int64_t t = 0; t < width; t += kLanes) all.add(Floats::load(left + t));
  row.most = largest_magnitude(all);
  const Floats inverse = Floats::set1(row.most >= kSmallest ? 63 / row.most : 0.0f);
  const Floats middle = Floats::set1(64), low = Floats::set1(1), high = Floats::set1(127);
  int32_t sum = 0;
  for (int64_t t = 0; t < width; t += 64) {
    Floats near[kVectors];
#pragma GCC unroll 16
    for (int v = 0; v < kVectors; ++v) near[v] = within(fma(Floats::load(left + t + v * kLanes), inverse, middle), low, high);
    alignas(64) uint8_t bytes[64];
    store_rounded(near, bytes);
    for (int i = 0; i < 64; ++i) {
      whole[t + i] = static_cast<int8_t>(bytes[i] - 64);
      sum += whole[t + i];
    }
  }
  row.origin = (kOrigin - 128) * sum;
}

// Sums of R rows from `whole` on with the columns of `entries` from c on, [quads][256][4].
template <int R, int V>
[[gnu::always_inline]] inline void multiply(const int8_t* whole, int64_t width, const uint8_t* entries, int64_t quads, int64_t c,
                                            const SearchedRow* rows, int32_t* sums) {
  Quads sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) sum[r][v] = Quads::set1(static_cast<uint32_t>(rows[r].origin));
  for (int64_t k = 0; k < quads; ++k) {
    Bytes x[V];
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) x[v] = multiplicand(Bytes::load(entries + 4 * (k * kEntries + c + v * Quads::kLanes)));
#pragma GCC unroll 16
    for (int r = 0; r < R; ++r) {
      const Four four(whole + r * width + 4 * k);
#pragma GCC unroll 16
      for (int v = 0; v < V; ++v) sum[r][v].add(x[v], four);
    }
  }
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) __builtin_memcpy(sums + r * kEntries + c + v * Quads::kLanes, &sum[r][v].v, sizeof sum[r][v].v);
}

inline void multiply_tile(const Tile& tile, int64_t rows, const uint8_t* entries, int64_t quads) {
  constexpr int R = kRegisters == 32 ? 6 : 4, V = kRegisters == 32 ? 4 : 2;
  for (int64_t c = 0; c < kEntries; c += V * Quads::kLanes) {
    int64_t r = 0;
    for (; r + R <= rows; r += R)
      multiply<R, V>(tile.whole + r * tile.width, tile.width, entries, quads, c, tile.now.row + r, tile.sums + r * kEntries);
    for (; r < rows; ++r)
      multiply<1, V>(tile.whole + r * tile.width, tile.width, entries, quads, c, tile.now.row + r, tile.sums + r * kEntries);
  }
}

// A row's totals from its products.
inline void add_up(const SearchLabelsArgs& a, int64_t step, const int8_t* pairs, const SearchedRow& row, const Apart* aparts,
                   int64_t b, const int32_t* sums, float* own, float* totals) {
  constexpr int kLanes = Floats::kLanes, kVectors = kRegisters / 4, kEach = Shorts::kLanes / kLanes;
  const Floats factor = Floats::set1(row.most * a.factors[2 * step]), unit = Floats::set1(a.factors[2 * step + 1]);
  const Floats first = fma(Floats::zero(), unit, Floats::set1(row.scores[0]));  // as other paths: no number if the unit is none
  for (int64_t c = 0; c < kEntries; c += kLanes) {
    const Floats x = fma(whole_numbers(sums + c), factor, Floats::load(a.squares + step * kEntries + c));
    x.store(own + c);
    (x + first).store(totals + c);
  }
  for (int64_t p = 1; p < b; ++p) {
    const Apart& apart = aparts[p];
    const Floats score = Floats::set1(row.scores[p]);
    for (int64_t c = 0; c < kEntries; c += kVectors * Shorts::kLanes) {
      Shorts sum[kVectors];
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) sum[v] = Shorts::zero();
      for (int64_t i = 0; i < apart.count; ++i) {
        const int8_t *own_pairs = pairs + apart.rows[2 * i] * kEntries, *first_pairs = pairs + apart.rows[2 * i + 1] * kEntries;
#pragma GCC unroll 16
        for (int v = 0; v < kVectors; ++v) {
          const int64_t at = c + v * Shorts::kLanes;
          sum[v] = sum[v] + (Shorts::load(own_pairs + at) - Shorts::load(first_pairs + at));
        }
      }
#pragma GCC unroll 16
      for (int v = 0; v < kVectors; ++v) {
        Floats x[kEach];
        whole_numbers(sum[v], x);
        const int64_t at = c + v * Shorts::kLanes;
#pragma GCC unroll 16
        for (int e = 0; e < kEach; ++e)
          (Floats::load(own + at + e * kLanes) + fma(x[e], unit, score)).store(totals + p * kEntries + at + e * kLanes);
      }
    }
  }
}

// Asks for what a row will need: the entries of its first path, pairs of those labels in which others differ from it.
inline void fetch_ahead(const SearchLabelsArgs& a, const uint8_t* paths, int64_t stride, int64_t labels, int64_t b, bool along,
                        const int8_t* pairs, Apart* aparts) {
  for (int64_t i = along ? labels - 1 : 0; i < labels; ++i) {
    const char* entry = reinterpret_cast<const char*>(a.books + (i * kEntries + paths[i]) * a.d);
    for (int64_t at = 0; at < 4 * a.d; at += 64) __builtin_prefetch(entry + at);
  }
  if (!pairs) return;
  for (int64_t p = 1; p < b; ++p) {
    aparts[p].find(paths + p * stride, paths, labels);
    for (int64_t i = 0; i < 2 * aparts[p].count; ++i)
      for (int64_t at = 0; at < kEntries; at += 64) __builtin_prefetch(pairs + aparts[p].rows[i] * kEntries + at, 0, 2);
  }
}

// What the first path of row r, which has one label more now, leaves.
inline void leave(const SearchLabelsArgs& a, const Tile& tile, int64_t start, int64_t r, int64_t labels) {
  const uint8_t* path = tile.next.paths + r * tile.row_stride;
  float* left = tile.left + r * tile.width;
  if (tile.next.row[r].along)
    subtract(left, a.books + (labels * kEntries + path[labels]) * a.d, a.d, left);
  else
    subtract_path(a, a.y + (start + r) * a.d, path, labels + 1, left);
}

void search_labels_rows(const SearchLabelsArgs& a, int64_t begin, int64_t end, uint8_t* scratch) {
  Tile tile(a, scratch);
  const int64_t before = a.depth - a.steps, quads = (a.d + 3) / 4;
  for (int64_t start = begin; start < end; start += kTileRows) {
    const int64_t rows = end - start < kTileRows ? end - start : kTileRows;
    for (int64_t r = 0; r < rows; ++r) {
      uint8_t* paths = tile.now.paths + r * tile.row_stride;
      for (int64_t p = 0; p < a.b; ++p) {
        const int64_t at = (start + r) * a.b + p;
        for (int64_t i = 0; i < tile.stride; ++i) paths[p * tile.stride + i] = i < before ? a.paths[at * before + i] : 0;
        tile.now.row[r].scores[p] = a.scores[at];
      }
      float* left = tile.left + r * tile.width;
      for (int64_t t = a.d; t < tile.width; ++t) left[t] = 0;
      subtract_path(a, a.y + (start + r) * a.d, paths, before, left);
      for (int64_t p = 1; p < a.b; ++p) tile.aparts[r * tile.most_paths + p].find(paths + p * tile.stride, paths, before);
    }
    int64_t b = a.b;
    const int8_t* pairs = a.pairs;
    for (int64_t step = 0; step < a.steps; ++step) {
      const int64_t labels = before + step, wanted = step + 1 < a.steps ? a.beam : a.last;
      const int64_t keep = wanted < b * kEntries ? wanted : b * kEntries;
      const int8_t* later = step + 1 < a.steps ? pairs + labels * kEntries * kEntries : nullptr;
      for (int64_t r = 0; r < rows; ++r) round_row(tile.left + r * tile.width, tile.width, tile.now.row[r], tile.whole + r * tile.width);
      multiply_tile(tile, rows, a.entries + step * quads * kEntries * 4, quads);
      for (int64_t r = 0; r < rows; ++r) {
        const uint8_t* paths = tile.now.paths + r * tile.row_stride;
        uint8_t* grown = tile.next.paths + r * tile.row_stride;
        add_up(a, step, pairs, tile.now.row[r], tile.aparts + r * tile.most_paths, b, tile.sums + r * kEntries, tile.own, tile.totals);
        const Least<SearchLabels::kMostPaths> least(tile.totals, b * kEntries, keep);
        const float first = __builtin_isfinite(least.total[0]) ? least.total[0] : 0.0f;
        for (int64_t k = 0; k < keep; ++k) {
          for (int64_t i = 0; i < tile.stride; i += 8)
            __builtin_memcpy(grown + k * tile.stride + i, paths + least.place[k] / kEntries * tile.stride + i, 8);
          grown[k * tile.stride + labels] = static_cast<uint8_t>(least.place[k] % kEntries);
          tile.next.row[r].scores[k] = least.total[k] - first;
        }
        tile.next.row[r].along = least.place[0] < kEntries;
        fetch_ahead(a, grown, tile.stride, labels + 1, keep, tile.next.row[r].along, later,
                    tile.aparts + r * tile.most_paths);
        if (r >= kBehind) leave(a, tile, start, r - kBehind, labels);
      }
      for (int64_t r = rows > kBehind ? rows - kBehind : 0; r < rows; ++r) leave(a, tile, start, r, labels);
      const Rows now = tile.now;
      tile.now = tile.next;
      tile.next = now;
      b = keep;
      pairs = later;
    }
    for (int64_t r = 0; r < rows; ++r) {
      const uint8_t* paths = tile.now.paths + r * tile.row_stride;
      for (int64_t k = 0; k < b; ++k) {
        const int64_t at = (start + r) * b + k;
        for (int64_t i = 0; i < a.depth; ++i) a.found[at * a.depth + i] = paths[k * tile.stride + i];
        a.reached[at] = tile.now.row[r].scores[k];
      }
      __builtin_memcpy(a.rest + (start + r) * a.d, tile.left + r * tile.width, static_cast<size_t>(a.d) * sizeof(float));
    }
  }
}
