// `sdc` by products: the codes' numbers, unpacked, times the query's 2 c - M. Included after sdc/query.inl and the region's
// Multiplied:
//   kPlanes side by side in a register, after gather(); kVectors of them, as many as planes; kSides of rows for one query
//   Few(numbers): kPlanes numbers of a query, for every row; Sum: of the rows of a register, up to kHeld
//   finish(sums, start, first, out): to uint32[Bytes::kLanes] in the order of the rows, from `start` on where first, else added

template <int W>
struct Products {
  static constexpr bool kSegments = false;
  static constexpr int kQueries = kProductQueries;
  static constexpr int64_t kPlanes = 0;
  static constexpr int kFields = 8 / W, kTop = (1 << W) - 1;
  static constexpr int kStep = Multiplied::kPlanes, kVectors = Multiplied::kVectors;
  static constexpr int64_t kPart = Multiplied::kHeld / (kFields * kTop * kTop) / 4 * 4;  // planes

  static int64_t bytes(const Scan& s) { return (s.payload + kStep - 1) / kStep * kStep * kFields; }

  // Number n of byte j stands at (j / kStep * kFields + n) * kStep + j % kStep. Returns what a row's sum begins with.
  static uint32_t prepare(const Scan& s, int64_t q, uint8_t* out) {
    const uint8_t* code = query_code(s, q);
    int64_t all = 0;
    for (int64_t j = 0; j < s.payload; ++j)
      for (int n = 0; n < kFields; ++n) {
        const int number = j * kFields + n < s.m ? 2 * (code[j] >> shift_of(n) & kTop) - kTop : 0;
        out[(j / kStep * kFields + n) * kStep + j % kStep] = static_cast<uint8_t>(number);
        all += number;
      }
    return static_cast<uint32_t>((s.m * kTop * kTop - kTop * all) / 2);
  }

  static constexpr int shift_of(int n) { return W == 4 ? 4 * n : 8 - W * (n + 1); }

  template <int G>
  static constexpr int kWideSides = G == 1 ? Multiplied::kSides : 1;

  template <int G, class Codes>
  static void numbers(const Scan& s, const Codes& tile, int64_t q, int row, uint32_t (*out)[kBlock]) {
    constexpr int H = kWideSides<G>;
    const int8_t* numbers[G];
    for (int g = 0; g < G; ++g) numbers[g] = reinterpret_cast<const int8_t*>(s.screens[q + g].numbers);
    int64_t begin = 0;
    do {
      const int64_t end = begin + kPart < s.payload ? begin + kPart : s.payload;
      typename Multiplied::Sum total[G * H * kVectors];
#pragma GCC unroll 16
      for (int i = 0; i < G * H * kVectors; ++i) total[i] = Multiplied::Sum::zero();
      int64_t j = begin;
      for (; j + kStep <= end; j += kStep) {
        Bytes x[H * kStep];
#pragma GCC unroll 4
        for (int h = 0; h < H; ++h)
#pragma GCC unroll 4
          for (int i = 0; i < kStep; ++i) x[h * kStep + i] = tile.load(j + i, h);
        multiply<G>(x, numbers, j, total);
      }
      if (j < end) {
        Bytes x[H * kStep];
#pragma GCC unroll 4
        for (int h = 0; h < H; ++h)
#pragma GCC unroll 4
          for (int i = 0; i < kStep; ++i) x[h * kStep + i] = j + i < end ? tile.load(j + i, h) : Bytes::zero();
        multiply<G>(x, numbers, j, total);
      }
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g)
#pragma GCC unroll 4
        for (int h = 0; h < H; ++h) {
          typename Multiplied::Sum sums[kVectors];  // another array, for what is passed by reference does not stay in registers
#pragma GCC unroll 4
          for (int k = 0; k < kVectors; ++k) sums[k] = total[(g * H + h) * kVectors + k];
          Multiplied::finish(sums, s.screens[q + g].start, begin == 0, out[g] + row + h * Bytes::kLanes);
        }
      begin = end;
    } while (begin < s.payload);
  }

 private:
  template <int G>
  [[gnu::always_inline]] static void multiply(Bytes (&x)[kWideSides<G> * kStep], const int8_t* const (&numbers)[G], int64_t j,
                                              typename Multiplied::Sum (&total)[G * kWideSides<G> * kVectors]) {
#pragma GCC unroll 4
    for (int h = 0; h < kWideSides<G>; ++h) Multiplied::gather(x + h * kStep);
    multiply_field<G, 0>(x, numbers, j, total);
  }

  template <int G, int N>
  [[gnu::always_inline]] static void multiply_field(const Bytes (&x)[kWideSides<G> * kStep], const int8_t* const (&numbers)[G],
                                                    int64_t j,
                                                    typename Multiplied::Sum (&total)[G * kWideSides<G> * kVectors]) {
    if constexpr (N < kFields) {
      constexpr int all = kWideSides<G> * kVectors;
      Bytes y[all];
#pragma GCC unroll 4
      for (int k = 0; k < all; ++k) y[k] = x[k].template field<shift_of(N), W>();
#pragma GCC unroll 4
      for (int g = 0; g < G; ++g) {
        const typename Multiplied::Few few(numbers[g] + j * kFields + N * kStep);
#pragma GCC unroll 4
        for (int k = 0; k < all; ++k) total[g * all + k].add(y[k], few);
      }
      multiply_field<G, N + 1>(x, numbers, j, total);
    }
  }
};
