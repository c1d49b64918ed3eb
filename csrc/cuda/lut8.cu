// Scan of bytes by tables of 256 entries on a device. Definition: vecpress/ops/lut8.py.
//
// One query: a look-up a byte in tables of bytes. More: four queries a look-up. Batches have no other kernel, by estimate: 32 lanes' words of
// a table of 256 take 3.15 passes over shared memory's banks, so 4 * 32 / 3.15 = 41 sums of a byte a clock and multiprocessor. Lanes that
// each have four queries, and one row at a time, would read without conflicts, 128 a clock, but widening the sums takes 3 of 64 lanes' operations a
// clock for 4 queries, 85, and 128 queries' tables of 96 bytes are 3 MB: read anew from L2 for every tile of rows, 128 bytes a look-up of 4 * 32
// sums at some 24 bytes a clock, unless some 20 rows a warp keep their sums in registers meanwhile. Less than twice as fast at best.
#include "core/tables.cuh"

using namespace vecpress::cuda;

extern "C" size_t vp_cuda_lut8_operand(const VpScan* a) {
  return a && a->nq > 0 && a->codes.head >= 0 && a->codes.code_size >= a->codes.head ? rounded_bytes<Bytes>(a->nq, places_of(a->codes)) : 0;
}

extern "C" int vp_cuda_lut8(const VpScan* a, const float* tables) {
  if (const int code = check_scan(a)) return code;
  const Places at = places_of(a->codes);
  if (a->nq && at.bytes && !tables) return VP_CUDA_ARGUMENT;
  return by_parts(*a, [&](const VpScan& part, int64_t q0) {
    const Bytes source{tables + q0 * at.bytes * 256, at.bytes};
    return run_scan(
        part, rounded_bytes<Bytes>(part.nq, at), [&](const Scan& s) { return round_tables(s, source, at); },
        [&](const Scan& s, int64_t first, int64_t last) { return scan_rows(s, source, at, first, last); });
  });
}
