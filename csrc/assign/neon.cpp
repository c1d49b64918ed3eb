// Nearest centroids with NEON.
#include "core/centroids.hpp"
#include "core/target.hpp"
#include "assign/assign.hpp"

#if defined(__aarch64__)

namespace vecpress::neon {
namespace {
#include "core/vec_neon.inl"

#include "core/chains.inl"

#include "core/nearest.inl"

#include "assign/assign.inl"
}  // namespace
}  // namespace vecpress::neon

namespace vecpress {
static const Register<Assign> registered(Isa::neon, neon::assign_rows);
}  // namespace vecpress

#endif
