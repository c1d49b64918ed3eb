// Hamming scan, baseline: eight codes' bytes in a 64-bit word.
#include "core/target.hpp"
#include "hamming/hamming.hpp"

namespace vecpress::scalar {
namespace {
#include "core/vec_scalar.inl"

#include "core/scan.inl"

#include "core/tiles.inl"

#include "core/counts.inl"

#include "hamming/hamming.inl"
}  // namespace
}  // namespace vecpress::scalar

namespace vecpress {
static const Register<Hamming> registered(Isa::scalar, {scalar::scan_hamming, scalar::invert_query, scalar::inverted_bytes,
                                                    scalar::settle_known});
}  // namespace vecpress
