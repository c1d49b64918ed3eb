// Hamming scan with AVX-512: 64 codes at a time, bits counted by vpopcntb (BITALG).
#include "core/target.hpp"
#include "hamming/hamming.hpp"

#if defined(__x86_64__)

VECPRESS_BEGIN_AVX512
namespace vecpress::avx512 {
namespace {
#include "core/vec_avx512.inl"

#include "core/scan.inl"

#include "core/tiles.inl"

#include "core/counts.inl"

#include "hamming/hamming.inl"
}  // namespace
}  // namespace vecpress::avx512
VECPRESS_END

namespace vecpress {
static const Register<Hamming> registered(Isa::avx512, {avx512::scan_hamming, avx512::invert_query, avx512::inverted_bytes,
                                                    avx512::settle_known});
}  // namespace vecpress

#endif
