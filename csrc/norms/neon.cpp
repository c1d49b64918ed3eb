// Euclidean norms with NEON.
#include "core/target.hpp"
#include "norms/norms.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "norms/norms.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Norms> registered(Isa::neon, neon::norms_of_rows);
}  // namespace vecpress

#endif
