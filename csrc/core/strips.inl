// Rows times strips of columns, for project and tables: register tiles of the chains of core/chains.inl. Included after it.

struct Strips {
  const float* x;        // the rows
  int64_t x_stride;
  const float* columns;
  int64_t step, stride;  // as in core/chains.inl
  int64_t steps;
  const float* start;    // by column: where the chains start; nullptr: at the numbers that `out` holds
  float* out;
  int64_t out_stride;
};

constexpr int kTileRows = Floats::kLanes == 16 ? 8 : Floats::kLanes == 1 ? 1 : 6;  // with kTileStrips, what the registers hold
constexpr int kTileStrips = Floats::kLanes == 16 ? 3 : 1;

template <bool kDifference, int R, int S>
inline void tile(const Strips& s, int64_t row, int64_t strip) {
  constexpr int V = S * kPerStrip;
  float* out = s.out + row * s.out_stride + strip * kStrip;
  Floats sum[R][V];
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v) {
      const int64_t column = v * Floats::kLanes;
      sum[r][v] = Floats::load(s.start ? s.start + strip * kStrip + column : out + r * s.out_stride + column);
    }
  chains<kDifference, R, V>(s.x + row * s.x_stride, s.x_stride, s.columns + strip * s.stride, s.step, s.stride, s.steps, sum);
#pragma GCC unroll 16
  for (int r = 0; r < R; ++r)
#pragma GCC unroll 16
    for (int v = 0; v < V; ++v)
      (kDifference ? negative(sum[r][v]) : sum[r][v]).store(out + r * s.out_stride + v * Floats::kLanes);
}

template <bool kDifference, int S>
inline void tiles(const Strips& s, int64_t rows, int64_t strip) {
  int64_t r = 0;
  for (; r + kTileRows <= rows; r += kTileRows) tile<kDifference, kTileRows, S>(s, r, strip);
  if (kTileRows == 1) return;
  if (rows - r >= 4) {
    tile<kDifference, 4, S>(s, r, strip);
    r += 4;
  }
  if (rows - r >= 2) {
    tile<kDifference, 2, S>(s, r, strip);
    r += 2;
  }
  if (rows - r == 1) tile<kDifference, 1, S>(s, r, strip);
}

// Sums of `rows` rows and `strips` whole strips; the negative sums where kDifference.
template <bool kDifference>
inline void rows_by_strips(const Strips& s, int64_t rows, int64_t strips) {
  int64_t strip = 0;
  for (; strip + kTileStrips <= strips; strip += kTileStrips) tiles<kDifference, kTileStrips>(s, rows, strip);
  for (; strip < strips; ++strip) tiles<kDifference, 1>(s, rows, strip);
}
