// Hamming scan with NEON: 16 codes at a time, bits counted by cnt.
#include "core/target.hpp"
#include "hamming/hamming.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/scan.inl"

#include "core/tiles.inl"

#include "core/counts.inl"

#include "hamming/hamming.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Hamming> registered(Isa::neon, {neon::scan_hamming, neon::invert_query, neon::inverted_bytes,
                                                    neon::settle_known});
}  // namespace vecpress

#endif
