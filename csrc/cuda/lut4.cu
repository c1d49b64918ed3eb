// Scan of nibbles by tables of 16 entries on a device. Definition: vecpress/ops/lut4.py.
//
// Few queries: the two tables of a byte become one of 256 entries, and the scan is that of bytes: a table of 16 is free of bank conflicts, one of 256
// bytes takes two passes, but replaces two look-ups, their extraction and addition. Batches: by the tensor cores, a nibble as 16 bytes of
// which one is 1, times the query's tables as they lie, two nibbles a product.
#include "core/tables.cuh"
#include "core/tiles.cuh"

namespace vecpress::cuda {
namespace {

// From so many queries tiles pay. Estimate: for 32 rows and a byte, 64 queries take 16 products of 4096 multiplications, 25 clocks of a
// multiprocessor at some 2600 a clock, and four queries a look-up 3.15: as many for 32 queries. Bounds are twice as wide, so a little later.
constexpr int64_t kTileBatch = kEmulated ? 5 : 48;

bool by_tiles(int64_t nq) { return nq >= kTileBatch && (kEmulated || capability() >= 80); }

struct Tiles {
  static constexpr bool kExact = false;
  static constexpr Product kProduct = Product::kBytes;
  struct State {
    uint32_t low, high;  // a word of rows g and g + 8
  };
  const uint8_t* queries;
  int steps;  // positions
  Nibbles source;
  Places at;
  const Screen* screens;

  // Bytes 4 t .. 4 t + 3 of the 16 that a nibble becomes; `eights`: 8 times it.
  static __device__ __forceinline__ uint32_t one_of(uint32_t eights, uint32_t from) { return __funnelshift_lc(0, 1, eights - from); }

  __device__ __forceinline__ void fragment(const Scan& s, int64_t group, int half, int step, uint32_t (&a)[4], State& state) const {
    const int g = lane_id() / 4, k = step % 4;
    if (k == 0) {
      const int64_t row = group * kGroup + 16 * half + g;
      const int w = at.word + step / 4;
      state.low = Row(s.codes, row).word(w);
      state.high = Row(s.codes, row + 8).word(w);
    }
    const uint32_t from = 32u * static_cast<unsigned>(lane_id() % 4), low = state.low >> 8 * k, high = state.high >> 8 * k;
    a[0] = one_of(low << 3 & 0x78, from);
    a[1] = one_of(high << 3 & 0x78, from);
    a[2] = one_of(low >> 1 & 0x78, from);
    a[3] = one_of(high >> 1 & 0x78, from);
  }
  __device__ __forceinline__ void gather(State&) const {}

  __device__ __forceinline__ float best(int sum, int64_t q, const State&, int, const RowFactors& factors, float constant) const {
    return best_score(screens + q, sum, factors, constant);
  }
  __device__ __forceinline__ float exact(const Scan&, int64_t q, const Row& row) const { return exact_sum(source, at, q, row); }
};

std::size_t operand_bytes(int64_t nq, const Places& at) { return by_tiles(nq) ? rounded_bytes<Nibbles>(nq, at) : rounded_bytes<Pairs>(nq, at); }

}  // namespace
}  // namespace vecpress::cuda

using namespace vecpress::cuda;

extern "C" size_t vp_cuda_lut4_operand(const VpScan* a, int32_t) {
  return a && a->nq > 0 && a->codes.head >= 0 && a->codes.code_size >= a->codes.head ? operand_bytes(a->nq, places_of(a->codes)) : 0;
}

extern "C" int vp_cuda_lut4(const VpScan* a, const float* tables, int32_t m) {
  if (const int code = check_scan(a)) return code;
  const Places at = places_of(a->codes);
  if (at.bytes > INT32_MAX / 2 || m > 2 * at.bytes || m < 2 * at.bytes - 1 || (a->nq && m > 0 && !tables)) return VP_CUDA_ARGUMENT;
  return by_parts(*a, [&](const VpScan& part, int64_t q0) {
    const Nibbles source{tables + q0 * (m < 0 ? 0 : m) * 16, m < 0 ? 0 : m};
    const Pairs pairs{source};
    return run_scan(
        part, operand_bytes(part.nq, at),
        [&](const Scan& s) { return by_tiles(s.nq) ? round_tables(s, source, at) : round_tables(s, pairs, at); },
        [&](const Scan& s, int64_t first, int64_t last) {
          if (!by_tiles(s.nq)) return scan_rows(s, pairs, at, first, last);
          const Rounded rounded = rounded_of<Nibbles>(s.operand, s.nq, at);
          return launch_tiles(s, Tiles{rounded.tables, 4 * at.words, source, at, rounded.screens}, first, last);
        });
  });
}
