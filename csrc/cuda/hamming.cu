// Scan of packed bits on a device. Definition: vecpress/ops/hamming.py. How: core/bits.cuh.
#include "core/bits.cuh"

using namespace vecpress::cuda;

extern "C" size_t vp_cuda_hamming_operand(const VpScan* a) {
  return a && a->nq > 0 && a->codes.code_size >= 0 ? bit_operand_bytes(a->nq, a->codes.code_size) : 0;
}

extern "C" int vp_cuda_hamming(const VpScan* a, const uint8_t* bits) {
  if (const int code = check_scan(a)) return code;
  const int size = a->codes.code_size - a->codes.head;
  if (size > 8191 || (a->nq && size && !bits)) return VP_CUDA_ARGUMENT;
  const int steps = bit_steps(a->codes.code_size);
  return by_parts(*a, [&](const VpScan& part, int64_t q0) {
    return run_scan(
        part, bit_operand_bytes(part.nq, part.codes.code_size),
        [&](const Scan& s) { return prepare_bits(s, bit_operand_of(s.operand, s.nq, s.codes.code_size), bits + q0 * size, 255); },
        [&](const Scan& s, int64_t first, int64_t last) {
          const BitOperand o = bit_operand_of(s.operand, s.nq, s.codes.code_size);
          return scan_bits(s, BitRows{o, 2 * steps}, BitTiles{o.queries, o.mask, o.bits, steps}, first, last);
        });
  });
}
