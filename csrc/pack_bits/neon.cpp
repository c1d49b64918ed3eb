// Binarisation with NEON.
#include "core/target.hpp"
#include "pack_bits/pack_bits.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/runs.inl"

#include "pack_bits/pack_bits.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<PackBits> registered(Isa::neon, neon::pack_rows);
}  // namespace vecpress

#endif
