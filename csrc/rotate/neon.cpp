// Rotations by fast Hadamard transforms with NEON.
#include "core/target.hpp"
#include "rotate/rotate.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "rotate/rotate.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Rotate> registered(Isa::neon, neon::rotate_rows);
}  // namespace vecpress

#endif
